-- A generated payroll with keys that are codes, dates or several columns.
CREATE TABLE country (code CHAR(2) NOT NULL PRIMARY KEY, name VARCHAR(40) NOT NULL);
CREATE TABLE department (dept_no VARCHAR(8) NOT NULL PRIMARY KEY, name VARCHAR(40) NOT NULL, is_closed BOOLEAN NOT NULL);
CREATE TABLE employee (emp_no INT UNSIGNED NOT NULL PRIMARY KEY, name VARCHAR(40) NOT NULL, born DATE, country CHAR(2),
  tax_country CHAR(2));
CREATE TABLE assignment (emp_no INT UNSIGNED NOT NULL, dept_no VARCHAR(8) NOT NULL, from_date DATE NOT NULL,
  hours DECIMAL(6,3), until DATE, approved_by INT UNSIGNED, PRIMARY KEY (emp_no, dept_no, from_date));
CREATE TABLE grade (code VARCHAR(8) NOT NULL, country CHAR(2) NOT NULL, salary DECIMAL(12,2) NOT NULL,
  PRIMARY KEY (code, country));

INSERT INTO country VALUES ('AT', 'Austria'), ('BR', 'Brazil'), ('CA', 'Canada');
INSERT INTO department VALUES ('d-1', 'Sales, and more', FALSE), ('d-2', 'Service', FALSE), ('D-3', 'Closed', TRUE);
INSERT INTO employee (emp_no, name, born, country) WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 200)
  SELECT i, CONCAT('Employee ', i), IF(i % 9 = 0, NULL, '1960-01-01' + INTERVAL i * 50 DAY),
    ELT(1 + i % 4, 'AT', 'BR', 'CA', NULL) FROM n;
INSERT INTO assignment (emp_no, dept_no, from_date, hours) SELECT emp_no, ELT(1 + emp_no % 3, 'd-1', 'd-2', 'D-3'), '2020-02-29' + INTERVAL emp_no DAY,
  10 + emp_no / 8 FROM employee;
INSERT INTO assignment (emp_no, dept_no, from_date, hours) SELECT emp_no, 'd-1', '2024-06-01', 5.125 FROM employee;
INSERT INTO assignment (emp_no, dept_no, from_date, hours) SELECT emp_no, 'd-2', '2024-06-01', 6.5 FROM employee WHERE emp_no % 2 = 0;
INSERT INTO assignment VALUES (150, 'd-2', '2025-01-01', NULL, NULL, NULL);
-- Another employee approves. Employee 999 does not exist yet.
UPDATE assignment SET approved_by = IF(emp_no % 7 = 0, 999, 201 - emp_no) WHERE emp_no % 2 = 0;
UPDATE assignment SET until = from_date + INTERVAL 1 YEAR WHERE emp_no % 3 = 0;
UPDATE employee SET tax_country = IF(emp_no % 10 = 0, 'XX', ELT(1 + emp_no % 3, 'CA', 'AT', 'BR')) WHERE emp_no > 100;
INSERT INTO grade VALUES ('A', 'AT', 1000.00), ('A', 'BR', 900.50), ('B', 'AT', 2000.00), ('C,1', 'CA', 1500.25);
