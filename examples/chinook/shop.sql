-- Chinook's tables as published for MySQL, without the columns that the star does not read, and generated rows: 40
-- customers, 300 tracks, 500 invoices. No row is about a real person.
CREATE TABLE Artist (ArtistId INT NOT NULL PRIMARY KEY, Name VARCHAR(120));
CREATE TABLE Album (AlbumId INT NOT NULL PRIMARY KEY, Title VARCHAR(160) NOT NULL, ArtistId INT NOT NULL,
  CONSTRAINT FK_AlbumArtistId FOREIGN KEY (ArtistId) REFERENCES Artist (ArtistId));
CREATE TABLE Genre (GenreId INT NOT NULL PRIMARY KEY, Name VARCHAR(120));
CREATE TABLE MediaType (MediaTypeId INT NOT NULL PRIMARY KEY, Name VARCHAR(120));
CREATE TABLE Track (TrackId INT NOT NULL PRIMARY KEY, Name VARCHAR(200) NOT NULL, AlbumId INT, MediaTypeId INT NOT NULL,
  GenreId INT, Composer VARCHAR(220), Milliseconds INT NOT NULL, Bytes INT, UnitPrice NUMERIC(10,2) NOT NULL,
  CONSTRAINT FK_TrackAlbumId FOREIGN KEY (AlbumId) REFERENCES Album (AlbumId),
  CONSTRAINT FK_TrackGenreId FOREIGN KEY (GenreId) REFERENCES Genre (GenreId),
  CONSTRAINT FK_TrackMediaTypeId FOREIGN KEY (MediaTypeId) REFERENCES MediaType (MediaTypeId));
CREATE TABLE Playlist (PlaylistId INT NOT NULL PRIMARY KEY, Name VARCHAR(120));
CREATE TABLE PlaylistTrack (PlaylistId INT NOT NULL, TrackId INT NOT NULL, PRIMARY KEY (PlaylistId, TrackId),
  CONSTRAINT FK_PlaylistTrackPlaylistId FOREIGN KEY (PlaylistId) REFERENCES Playlist (PlaylistId),
  CONSTRAINT FK_PlaylistTrackTrackId FOREIGN KEY (TrackId) REFERENCES Track (TrackId));
CREATE TABLE Employee (EmployeeId INT NOT NULL PRIMARY KEY, LastName VARCHAR(20) NOT NULL, FirstName VARCHAR(20) NOT NULL,
  Title VARCHAR(30), ReportsTo INT, HireDate DATETIME);
CREATE TABLE Customer (CustomerId INT NOT NULL PRIMARY KEY, FirstName VARCHAR(40) NOT NULL, LastName VARCHAR(20) NOT NULL,
  City VARCHAR(40), Country VARCHAR(40), Email VARCHAR(60) NOT NULL, SupportRepId INT,
  CONSTRAINT FK_CustomerSupportRepId FOREIGN KEY (SupportRepId) REFERENCES Employee (EmployeeId));
CREATE TABLE Invoice (InvoiceId INT NOT NULL PRIMARY KEY, CustomerId INT NOT NULL, InvoiceDate DATETIME NOT NULL,
  BillingCountry VARCHAR(40), Total NUMERIC(10,2) NOT NULL,
  CONSTRAINT FK_InvoiceCustomerId FOREIGN KEY (CustomerId) REFERENCES Customer (CustomerId));
CREATE TABLE InvoiceLine (InvoiceLineId INT NOT NULL PRIMARY KEY, InvoiceId INT NOT NULL, TrackId INT NOT NULL,
  UnitPrice NUMERIC(10,2) NOT NULL, Quantity INT NOT NULL,
  CONSTRAINT FK_InvoiceLineInvoiceId FOREIGN KEY (InvoiceId) REFERENCES Invoice (InvoiceId),
  CONSTRAINT FK_InvoiceLineTrackId FOREIGN KEY (TrackId) REFERENCES Track (TrackId));

INSERT INTO Artist WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 20)
  SELECT i, CONCAT('Artist ', i) FROM n;
INSERT INTO Album WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 40)
  SELECT i, CONCAT('Album ', i), 1 + i % 20 FROM n;
INSERT INTO Genre VALUES (1, 'Rock'), (2, 'Jazz'), (3, 'Metal'), (4, NULL);
INSERT INTO MediaType VALUES (1, 'MPEG audio file'), (2, 'AAC audio file');
INSERT INTO Track WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 300)
  SELECT i, CONCAT('Track ', i), IF(i % 17 = 0, NULL, 1 + i % 40), 1 + i % 2, IF(i % 11 = 0, NULL, 1 + i % 4),
    IF(i % 3 = 0, NULL, CONCAT('Composer ', i % 30)), 100000 + i * 997, i * 1000, IF(i % 5 = 0, 1.99, 0.99) FROM n;
INSERT INTO Playlist VALUES (1, 'Music'), (2, 'Evening'), (3, NULL);
INSERT INTO PlaylistTrack SELECT 1 + TrackId % 3, TrackId FROM Track;
INSERT INTO PlaylistTrack SELECT 1, TrackId FROM Track WHERE TrackId % 3 = 1;
INSERT INTO Employee VALUES (1, 'Adams', 'Ada', 'General Manager', NULL, '2002-08-14 00:00:00'),
  (2, 'Peacock', 'Pat', 'Sales Support Agent', 1, '2002-04-01 00:00:00'), (3, 'Park', 'Max', 'Sales Support Agent', 1, NULL);
INSERT INTO Customer WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 40)
  SELECT i, CONCAT('First', i), CONCAT('Last', i), CONCAT('City ', i % 9),
    ELT(1 + i % 4, 'Brazil', 'Canada', 'Czech Republic', NULL), CONCAT('customer', i, '@example.com'),
    IF(i % 5 = 0, NULL, 2 + i % 2) FROM n;
INSERT INTO Invoice WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 500)
  SELECT i, 1 + i % 40, '2021-01-01 00:00:00' + INTERVAL i * 3 DAY, 'Canada', 0 FROM n;
INSERT INTO InvoiceLine WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i <= 999)
  SELECT i, 1 + i % 500, 1 + i % 300, IF(i % 5 = 0, 1.99, 0.99), 1 + i % 3 FROM n;
INSERT INTO InvoiceLine SELECT InvoiceLineId + 1000, InvoiceId, 1 + TrackId % 300, UnitPrice, 1 FROM InvoiceLine;
