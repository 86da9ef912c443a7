"""Compares two builds of sakila-sync on one source, one after the other, and prints a table of their times and their
peak memory. `scripts/bench builds` runs it.

    builds.py BEFORE NOW SOCKET USER SCHEMA FOLDER      (paths of the programs; URL and passwords in the environment)

Each build has a target of its own. Which of the two comes first changes with each round.
"""

import os
import shutil
import statistics
import subprocess
import sys
import time

ROUNDS = 5
# UPDATE_TIME has whole seconds: a table that changed a moment ago counts as modified.
SECONDS_TO_SETTLE = 4
MEASURED = """
import resource, subprocess, sys, time
began = time.monotonic()
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
print(time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
sys.exit(code)
"""


class Comparison:
    def __init__(self, before, now, socket, user, schema, folder):
        self.programs = {"before": before, "now": now}
        client = shutil.which("mysql") or shutil.which("mariadb")
        self.client = [client, f"--socket={socket}", f"--user={user}", schema]
        self.folder = folder

    def run(self, build, *arguments):
        """Seconds and peak MiB of a command."""
        target = f"{self.folder}/{build}.db"
        command = [sys.executable, "-c", MEASURED, self.programs[build], *arguments]
        environment = {**os.environ, "SAKILA_SYNC_TARGET": target}
        ended = subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE, text=True)
        return [float(figure) for figure in ended.stdout.split()]

    def change(self, *statements):
        for statement in statements:
            subprocess.run([*self.client, "-e", statement], check=True)
        time.sleep(SECONDS_TO_SETTLE)

    def compare(self, what, *arguments, prepare=lambda build, turn: None, change=lambda turn: ()):
        measured = {"before": [], "now": []}
        for turn in range(ROUNDS):
            if statements := change(turn):
                self.change(*statements)
            for build in ("before", "now") if turn % 2 == 0 else ("now", "before"):
                prepare(build, turn)
                measured[build].append(self.run(build, *arguments))
        median = {build: [statistics.median(figure) for figure in zip(*runs)] for build, runs in measured.items()}
        (before, memory_before), (now, memory_now) = median["before"], median["now"]
        print(f"| {what} | {before:.2f} | {now:.2f} | {now / before:.2f} | {memory_before:.0f} | {memory_now:.0f} |", flush=True)

    def start_anew(self, build, _turn):
        for end in ("", "-wal", "-shm", ".lock"):
            if os.path.exists(file := f"{self.folder}/{build}.db{end}"):
                os.remove(file)
        self.run(build, "init")


def one_payment(turn):
    return [f"UPDATE payment SET amount = amount + 0.01 WHERE payment_id = {1000 * turn + 7}"]


def newest(_turn):
    return [
        "SET @rows = (SELECT COUNT(*) DIV 100 FROM rental); SET @key = (SELECT MAX(rental_id) FROM rental) - @rows; "
        "UPDATE rental SET return_date = return_date + INTERVAL 1 SECOND WHERE rental_id > @key",
        "SET @rows = (SELECT COUNT(*) DIV 100 FROM payment); SET @key = (SELECT MAX(payment_id) FROM payment) - @rows; "
        "UPDATE payment SET amount = amount + 0.01 WHERE payment_id > @key",
    ]


def spread(turn):
    return [
        f"UPDATE rental SET return_date = return_date + INTERVAL 1 SECOND WHERE rental_id % 100 = {turn}",
        f"UPDATE payment SET amount = amount + 0.01 WHERE payment_id % 100 = {turn}",
    ]


def main(*arguments):
    comparison = Comparison(*arguments)
    print("| command | before s | now s | ratio | before MiB | now MiB |\n|---|---:|---:|---:|---:|---:|")
    comparison.compare("first load", "full-load", prepare=comparison.start_anew)
    comparison.compare("repair, nothing differs", "repair")
    comparison.compare("validate --all", "validate", "--all")
    comparison.compare("validate --all --deep", "validate", "--all", "--deep")
    comparison.compare("incremental, nothing changed", "incremental")
    comparison.compare("incremental, one payment", "incremental", change=one_payment)
    comparison.compare("incremental, the newest 1% of both facts", "incremental", change=newest)
    comparison.compare("incremental, 1% of both facts, spread over all keys", "incremental", change=spread)


if __name__ == "__main__":
    main(*sys.argv[1:])
