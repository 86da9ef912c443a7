//! Queries in plain SQL for the rows of every table of the star.

/// Per table: its name, and queries for its rows as text, from the source and from the star.
pub const TABLES: &[(&str, &str, &str)] = &[
    (
        "dim_customer",
        "SELECT CONCAT_WS('|', CustomerId, FirstName, LastName, COALESCE(City, '-'), COALESCE(Country, '-')) FROM Customer",
        "SELECT concat_ws('|', customer_id, first_name, last_name, coalesce(city, '-'), coalesce(country, '-')) \
         FROM dim_customer",
    ),
    (
        "dim_employee",
        "SELECT CONCAT_WS('|', EmployeeId, FirstName, LastName, COALESCE(Title, '-'), COALESCE(DATE(HireDate), '-')) \
         FROM Employee",
        "SELECT concat_ws('|', employee_id, first_name, last_name, coalesce(title, '-'), coalesce(hired, '-')) \
         FROM dim_employee",
    ),
    (
        "dim_playlist",
        "SELECT CONCAT_WS('|', PlaylistId, COALESCE(Name, '-')) FROM Playlist",
        "SELECT concat_ws('|', playlist_id, coalesce(name, '-')) FROM dim_playlist",
    ),
    (
        "dim_track",
        "SELECT CONCAT_WS('|', TrackId, t.Name, COALESCE(al.Title, '-'), COALESCE(ar.Name, '-'), COALESCE(g.Name, '-'), \
           m.Name, COALESCE(Composer, '-'), Milliseconds, ROUND(UnitPrice * 100)) \
         FROM Track t LEFT JOIN Album al USING (AlbumId) LEFT JOIN Artist ar USING (ArtistId) \
         LEFT JOIN Genre g USING (GenreId) LEFT JOIN MediaType m USING (MediaTypeId)",
        "SELECT concat_ws('|', track_id, name, coalesce(album, '-'), coalesce(artist, '-'), coalesce(genre, '-'), \
           media_type, coalesce(composer, '-'), milliseconds, CAST(round(unit_price * 100) AS INTEGER)) FROM dim_track",
    ),
    (
        "bridge_playlist_track",
        "SELECT CONCAT_WS('|', PlaylistId, TrackId) FROM PlaylistTrack",
        "SELECT concat_ws('|', playlist_id, track_id) FROM bridge_playlist_track \
         JOIN dim_playlist USING (playlist_key) JOIN dim_track USING (track_key)",
    ),
    (
        "fact_invoice_line",
        "SELECT CONCAT_WS('|', InvoiceLineId, InvoiceId, DATE_FORMAT(InvoiceDate, '%Y-%m-%d'), TrackId, CustomerId, \
           COALESCE(SupportRepId, '-'), Quantity, ROUND(UnitPrice * 100)) \
         FROM InvoiceLine JOIN Invoice USING (InvoiceId) JOIN Customer USING (CustomerId)",
        "SELECT concat_ws('|', invoice_line_id, invoice_id, date, track_id, customer_id, coalesce(employee_id, '-'), \
           quantity, CAST(round(f.unit_price * 100) AS INTEGER)) \
         FROM fact_invoice_line f JOIN dim_date USING (date_key) JOIN dim_track USING (track_key) \
         JOIN dim_customer USING (customer_key) LEFT JOIN dim_employee USING (employee_key)",
    ),
];
