"""Loads the same star with DuckDB, for a comparison of load times. `scripts/bench peer` runs it.

    duckdb_star.py SOCKET USER SCHEMA TARGET      (the password in MYSQL_PWD)

DuckDB's extensions for MySQL and SQLite are installed as Python packages. The script creates the tables in TARGET, loads
dimensions, bridges and facts with SQL joins, and then creates the indexes. It does not reconcile totals and stores no
watermarks.
"""

import glob
import os
import sqlite3
import sys

import duckdb

TABLES = """
CREATE TABLE dim_date (date_key INTEGER PRIMARY KEY, date TEXT NOT NULL, year INTEGER, quarter INTEGER, month INTEGER,
  day_of_month INTEGER, day_of_week INTEGER, is_weekend INTEGER, month_name TEXT, day_name TEXT);
CREATE TABLE dim_film (film_key INTEGER PRIMARY KEY, film_id INTEGER NOT NULL UNIQUE, title TEXT, rating TEXT,
  length INTEGER, language TEXT, release_year INTEGER, last_update TEXT, allowed_days INTEGER, rental_rate REAL,
  replacement_cost REAL);
CREATE TABLE dim_actor (actor_key INTEGER PRIMARY KEY, actor_id INTEGER NOT NULL UNIQUE, first_name TEXT, last_name TEXT,
  last_update TEXT);
CREATE TABLE dim_category (category_key INTEGER PRIMARY KEY, category_id INTEGER NOT NULL UNIQUE, name TEXT,
  last_update TEXT);
CREATE TABLE dim_store (store_key INTEGER PRIMARY KEY, store_id INTEGER NOT NULL UNIQUE, city TEXT, country TEXT,
  last_update TEXT);
CREATE TABLE dim_staff (staff_key INTEGER PRIMARY KEY, staff_id INTEGER NOT NULL UNIQUE, first_name TEXT, last_name TEXT,
  active INTEGER, store_id INTEGER, last_update TEXT);
CREATE TABLE dim_customer (customer_key INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL UNIQUE, first_name TEXT,
  last_name TEXT, active INTEGER, city TEXT, country TEXT, last_update TEXT);
CREATE TABLE bridge_film_actor (film_key INTEGER NOT NULL, actor_key INTEGER NOT NULL,
  PRIMARY KEY (film_key, actor_key)) WITHOUT ROWID;
CREATE TABLE bridge_film_category (film_key INTEGER NOT NULL, category_key INTEGER NOT NULL,
  PRIMARY KEY (film_key, category_key)) WITHOUT ROWID;
CREATE TABLE fact_rental (fact_rental_key INTEGER PRIMARY KEY, rental_id INTEGER NOT NULL UNIQUE,
  date_key_rented INTEGER NOT NULL, date_key_returned INTEGER, film_key INTEGER NOT NULL, store_key INTEGER NOT NULL,
  customer_key INTEGER NOT NULL, staff_id INTEGER NOT NULL, rental_duration_days INTEGER);
CREATE TABLE fact_payment (fact_payment_key INTEGER PRIMARY KEY, payment_id INTEGER NOT NULL UNIQUE,
  date_key_paid INTEGER NOT NULL, customer_key INTEGER NOT NULL, store_key INTEGER NOT NULL, staff_id INTEGER NOT NULL,
  amount REAL NOT NULL, rental_id INTEGER, film_key INTEGER);
"""

INDEXES = [
    ("fact_rental", ["date_key_rented", "date_key_returned", "film_key", "store_key", "customer_key"]),
    ("fact_payment", ["date_key_paid", "customer_key", "store_key", "film_key"]),
]

COPIES = {
    "film": "*", "language": "*", "actor": "*", "category": "*", "store": "*", "staff": "staff_id, first_name, last_name, active, store_id, last_update",
    "customer": "*", "film_actor": "*", "film_category": "*", "inventory": "*", "city": "*", "country": "*",
    "address": "address_id, city_id",
    "rental": "rental_id, rental_date, inventory_id, customer_id, return_date, staff_id",
    "payment": "payment_id, customer_id, staff_id, rental_id, amount, payment_date",
}


def date_key(date):
    return f"(year({date}) * 10000 + month({date}) * 100 + day({date}))"


def text(time):
    return f"strftime({time}, '%Y-%m-%d %H:%M:%S')"


PLACES = "JOIN address USING (address_id) JOIN city USING (city_id) JOIN country USING (country_id)"

STAR = f"""
INSERT INTO lite.dim_date
  SELECT {date_key('d')}, strftime(d, '%Y-%m-%d'), year(d), quarter(d), month(d), day(d), isodow(d), (isodow(d) > 5)::INT,
    strftime(d, '%B'), strftime(d, '%A')
  FROM (SELECT unnest(generate_series(
    (SELECT least(min(rental_date), (SELECT min(payment_date) FROM payment)) FROM rental)::DATE,
    (SELECT greatest(max(rental_date), max(return_date), (SELECT max(payment_date) FROM payment)) FROM rental)::DATE,
    INTERVAL 1 DAY))::DATE AS d);
CREATE TEMP TABLE film_keys AS SELECT row_number() OVER (ORDER BY film_id)::INT AS film_key, film_id FROM film;
CREATE TEMP TABLE store_keys AS SELECT row_number() OVER (ORDER BY store_id)::INT AS store_key, store_id FROM store;
CREATE TEMP TABLE customer_keys AS
  SELECT row_number() OVER (ORDER BY customer_id)::INT AS customer_key, customer_id FROM customer;
CREATE TEMP TABLE actor_keys AS SELECT row_number() OVER (ORDER BY actor_id)::INT AS actor_key, actor_id FROM actor;
CREATE TEMP TABLE category_keys AS
  SELECT row_number() OVER (ORDER BY category_id)::INT AS category_key, category_id FROM category;
INSERT INTO lite.dim_film
  SELECT film_key, f.film_id, title, rating::VARCHAR, length, l.name, release_year, {text('f.last_update')}, rental_duration,
    rental_rate::DOUBLE, replacement_cost::DOUBLE
  FROM film f JOIN film_keys USING (film_id) JOIN language l USING (language_id) ORDER BY 1;
INSERT INTO lite.dim_actor SELECT actor_key, actor_id, first_name, last_name, {text('last_update')}
  FROM actor JOIN actor_keys USING (actor_id) ORDER BY 1;
INSERT INTO lite.dim_category SELECT category_key, category_id, name, {text('last_update')}
  FROM category JOIN category_keys USING (category_id) ORDER BY 1;
INSERT INTO lite.dim_store SELECT store_key, store_id, city, country, {text('s.last_update')}
  FROM store s JOIN store_keys USING (store_id) {PLACES} ORDER BY 1;
INSERT INTO lite.dim_staff SELECT row_number() OVER (ORDER BY staff_id), staff_id, first_name, last_name, active::INT,
  store_id, {text('last_update')} FROM staff ORDER BY 1;
INSERT INTO lite.dim_customer
  SELECT customer_key, customer_id, first_name, last_name, active::INT, city, country, {text('c.last_update')}
  FROM customer c JOIN customer_keys USING (customer_id) {PLACES} ORDER BY 1;
INSERT INTO lite.bridge_film_actor SELECT film_key, actor_key
  FROM film_actor JOIN film_keys USING (film_id) JOIN actor_keys USING (actor_id) ORDER BY 1, 2;
INSERT INTO lite.bridge_film_category SELECT film_key, category_key
  FROM film_category JOIN film_keys USING (film_id) JOIN category_keys USING (category_id) ORDER BY 1, 2;
INSERT INTO lite.fact_rental
  SELECT row_number() OVER (ORDER BY rental_id), rental_id, {date_key('rental_date')}, {date_key('return_date')},
    film_key, store_key, customer_key, r.staff_id, datediff('day', rental_date::DATE, return_date::DATE)
  FROM rental r JOIN inventory USING (inventory_id) JOIN film_keys USING (film_id)
    JOIN store_keys USING (store_id) JOIN customer_keys USING (customer_id) ORDER BY rental_id;
INSERT INTO lite.fact_payment
  SELECT row_number() OVER (ORDER BY payment_id), payment_id, {date_key('payment_date')}, customer_key, store_key,
    p.staff_id, amount::DOUBLE, p.rental_id, f.film_key
  FROM payment p JOIN staff s USING (staff_id)
    LEFT JOIN rental r ON r.rental_id = p.rental_id LEFT JOIN inventory i ON i.inventory_id = r.inventory_id
    JOIN store_keys k ON k.store_id = coalesce(i.store_id, s.store_id)
    LEFT JOIN film_keys f ON f.film_id = i.film_id
    JOIN customer_keys c ON c.customer_id = p.customer_id ORDER BY payment_id;
"""


def sqlite(target):
    connection = sqlite3.connect(target)
    for pragma in ("journal_mode = WAL", "synchronous = OFF", "cache_size = -262144", "temp_store = MEMORY"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def extension(name):
    packages = os.path.dirname(os.path.dirname(duckdb.__file__))
    [path] = glob.glob(f"{packages}/duckdb_extension_{name}/extensions/*/{name}.duckdb_extension")
    return path


def main(socket, user, schema, target):
    connection = sqlite(target)
    connection.executescript(TABLES)
    connection.close()
    duck = duckdb.connect(config={"allow_unsigned_extensions": "true", "threads": os.cpu_count()})
    for name in ("sqlite_scanner", "mysql_scanner"):
        duck.execute(f"LOAD '{extension(name)}'")
    password = os.environ.get("MYSQL_PWD", "")
    source = f"socket={socket} user={user} password={password} database={schema} port=0 host=localhost"
    duck.execute(f"ATTACH '{source}' AS my (TYPE mysql, READ_ONLY)")
    duck.execute(f"ATTACH '{target}' AS lite (TYPE sqlite)")
    for table, columns in COPIES.items():
        duck.execute(f"CREATE TEMP TABLE {table} AS SELECT {columns} FROM my.{table}")
    duck.execute(STAR)
    duck.close()
    connection = sqlite(target)
    for table, columns in INDEXES:
        for column in columns:
            connection.execute(f"CREATE INDEX idx_{table}_{column} ON {table} ({column})")
    connection.commit()
    rows, total = connection.execute(
        "SELECT (SELECT COUNT(*) FROM fact_rental), SUM(CAST(ROUND(amount * 100) AS INTEGER)) FROM fact_payment"
    ).fetchone()
    print(f"{rows} rentals, {total} cents")


if __name__ == "__main__":
    main(*sys.argv[1:])
