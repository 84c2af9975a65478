# SPDX-License-Identifier: MIT
"""A stock in a database of SQLite that lives in a file of /tmp for one call."""
import sqlite3
import tempfile


def handler(moves):
    with tempfile.NamedTemporaryFile(suffix=".db") as file:
        database = sqlite3.connect(file.name)
        database.execute(
            "CREATE TABLE moves (item TEXT NOT NULL, count INTEGER CHECK (count <> 0))")
        with database:
            database.executemany("INSERT INTO moves VALUES (?, ?)", moves)
        rows = database.execute(
            "SELECT item, sum(count), sum(sum(count)) OVER (ORDER BY item) FROM moves"
            " GROUP BY item HAVING sum(count) > 0 ORDER BY item").fetchall()
        database.close()
        return rows
