"""Reads a lake with an engine that is not ours, and prints what queries yield: cells parted by |, a row each line.

    read.py duckdb|sail|clickhouse|polars LAKE [TABLE=VERSION...] QUERY

With SAIL_MODE=local-cluster Sail starts a cluster of its own, with workers that exchange their results.

Every Delta table of the lake is a table of its name; with TABLE=VERSION as of that version.
"""

import os
import pathlib
import sys
import time


def timed(query):
    began = time.monotonic()
    rows = query()
    print(f"query: {time.monotonic() - began:.2f} s", file=sys.stderr)
    return rows


def duckdb_rows(lake, tables, versions, query):
    import duckdb
    import duckdb_extension_delta

    folder = pathlib.Path(duckdb_extension_delta.__file__).parent / "extensions" / f"v{duckdb.__version__}"
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true", "autoinstall_known_extensions": "false"})
    connection.execute(f"LOAD '{folder / 'delta.duckdb_extension'}'")
    for table in tables:
        if table in versions:
            connection.execute(f"ATTACH '{lake}/{table}' AS at_{table} (TYPE delta, VERSION {versions[table]})")
            connection.execute(f"CREATE VIEW {table} AS SELECT * FROM at_{table}")
        else:
            connection.execute(f"CREATE VIEW {table} AS SELECT * FROM delta_scan('{lake}/{table}')")
    return timed(lambda: connection.execute(query).fetchall())


def sail_rows(lake, tables, versions, query):
    from pysail.spark import SparkConnectServer
    from pyspark.sql import SparkSession

    server = SparkConnectServer()
    server.start()
    _, port = server.listening_address
    spark = SparkSession.builder.remote(f"sc://127.0.0.1:{port}").getOrCreate()
    for table in tables:
        reader = spark.read.format("delta")
        if table in versions:
            reader = reader.option("versionAsOf", versions[table])
        reader.load(f"{lake}/{table}").createOrReplaceTempView(table)
    rows = timed(lambda: [tuple(row) for row in spark.sql(query).collect()])
    spark.stop()
    server.stop()
    return rows


def clickhouse_rows(lake, tables, versions, query):
    import chdb

    # chDB reads only files below the current folder.
    os.chdir(lake)
    connection = chdb.connect(":memory:")
    for table in tables:
        at = f" SETTINGS delta_lake_snapshot_version = {versions[table]}" if table in versions else ""
        connection.query(f"CREATE VIEW {table} AS SELECT * FROM deltaLakeLocal('{lake}/{table}'){at}")
    connection.query("SET output_format_decimal_trailing_zeros = 1")
    rows = timed(lambda: connection.query(query, "TSV").data().splitlines())
    return [row.replace("\\N", "").split("\t") for row in rows]


def polars_rows(lake, tables, versions, query):
    import polars

    frames = {}
    for table in tables:
        version = versions.get(table)
        frames[table] = polars.scan_delta(f"{lake}/{table}", version=None if version is None else int(version))
    context = polars.SQLContext(frames)
    return timed(lambda: context.execute(query).collect().rows())


reader, lake, *versions, query = sys.argv[1:]
versions = dict(version.split("=") for version in versions)
# The tables of a bucket have to be named.
if "://" in lake:
    tables = os.environ["TABLES"].split(",")
else:
    tables = sorted(entry.parent.name for entry in pathlib.Path(lake).glob("*/_delta_log"))
engines = {"duckdb": duckdb_rows, "sail": sail_rows, "clickhouse": clickhouse_rows, "polars": polars_rows}
rows = engines[reader](lake, tables, versions, query)
for row in rows:
    print("|".join("" if cell is None else str(cell) for cell in row))
