"""Loads the same star with DuckDB and with sakila-sync, one after the other, and prints a table of their times.
`scripts/bench peer` runs it.

    pairs.py PROGRAM SOCKET USER SCHEMA FOLDER      (the source's URL and password in the environment)

DuckDB's time includes the start of Python, that of sakila-sync includes `init`. After each pair, the row counts of all
tables and the total of all payments have to be the same in both files; the calendar covers whole years only in one.
"""

import contextlib
import os
import pathlib
import sqlite3
import statistics
import subprocess
import sys
import time

PAIRS = 5
PEER = pathlib.Path(__file__).with_name("duckdb_star.py")
TABLES = [
    "dim_film", "dim_actor", "dim_category", "dim_store", "dim_staff", "dim_customer", "bridge_film_actor",
    "bridge_film_category", "fact_rental", "fact_payment",
]


def seconds(*commands, **environment):
    began = time.monotonic()
    for command in commands:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, **environment})
    return time.monotonic() - began


def figures(star):
    cents = "SELECT SUM(CAST(ROUND(amount * 100) AS INTEGER)) FROM fact_payment"
    with contextlib.closing(sqlite3.connect(star)) as connection:
        counts = [connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0] for table in TABLES]
        return counts + [connection.execute(cents).fetchone()[0]]


def main(program, socket, user, schema, folder):
    ratios = []
    print("| pair | DuckDB s | sakila-sync s | ratio |\n|---:|---:|---:|---:|")
    for pair in range(1, PAIRS + 1):
        theirs, ours = f"{folder}/duckdb.db", f"{folder}/sakila-sync.db"
        duckdb = seconds([sys.executable, PEER, socket, user, schema, theirs])
        sync = seconds([program, "init"], [program, "full-load"], SAKILA_SYNC_TARGET=ours)
        found = figures(theirs)
        assert figures(ours) == found, "the stars differ"
        ratios.append(sync / duckdb)
        print(f"| {pair} | {duckdb:.1f} | {sync:.1f} | {ratios[-1]:.2f} |", flush=True)
        for file in (theirs, ours):
            os.remove(file)
    print(f"median ratio: {statistics.median(ratios):.2f}")
    print(f"{found[-3]} rentals, {found[-2]} payments, {found[-1]} cents in each star")


if __name__ == "__main__":
    main(*sys.argv[1:])
