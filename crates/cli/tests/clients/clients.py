"""Drivers of Python against a server: psycopg 3, asyncpg, SQLAlchemy.

    python clients.py PORT

Each makes tables and views, changes and reads them, sends values of every type both ways, uses prepared statements, cursors and
COPY, and cancels. What is expected is what the same calls give with a PostgreSQL 15, but for types that are not here.
"""

import asyncio
import datetime as dt
import decimal
import sys
import threading
import time

import asyncpg
import psycopg
import sqlalchemy as sa

PORT = int(sys.argv[1])
UTC = dt.timezone.utc
# A query that does not end by itself for a long time: each row meets each.
LONG = "SELECT COUNT(*) FROM numbers a, numbers b, numbers c WHERE a.n + b.n + c.n < 0"

# Column, type, a value, as every driver has it.
VALUES = [
    ("b", "BOOLEAN", True),
    ("i2", "SMALLINT", -32768),
    ("i4", "INT", 2147483647),
    ("i8", "BIGINT", -9223372036854775808),
    ("f4", "REAL", 0.5),
    ("f8", "DOUBLE PRECISION", -1.25e100),
    ("n", "NUMERIC(20, 4)", decimal.Decimal("-12345.6789")),
    ("t", "TEXT", "it's \\ \"ß\" \n\t"),
    ("y", "BYTEA", b"\x00\xff\\"),
    ("d", "DATE", dt.date(2024, 2, 29)),
    ("c", "TIME", dt.time(23, 59, 59, 999999)),
    ("ts", "TIMESTAMP", dt.datetime(1969, 12, 31, 23, 59, 59, 1)),
    ("tz", "TIMESTAMPTZ", dt.datetime(2024, 7, 1, 12, 0, 0, 123456, tzinfo=UTC)),
    ("v", "INTERVAL", dt.timedelta(days=3, hours=4, microseconds=5)),
    ("a4", "INT[]", [1, None, -3]),
    ("at", "TEXT[]", ["a", "", "null", None, 'q"\\,{}']),
    ("a8", "DOUBLE PRECISION[]", []),
]


def same(found, wanted, what):
    assert found == wanted, f"{what}: {found!r} is not {wanted!r}"


def psycopg_both_ways(db, binary):
    kind = "binary" if binary else "text"
    columns = ", ".join(f"{name} {of}" for name, of, _ in VALUES)
    db.execute(f"CREATE TABLE all_{kind} (k INT PRIMARY KEY, {columns})")
    places = ", ".join(f"{'%b' if binary else '%s'}::{of}" for _, of, _ in VALUES)
    cursor = db.cursor(binary=binary)
    cursor.execute(f"INSERT INTO all_{kind} VALUES (1, {places})", [value for _, _, value in VALUES])
    cursor.execute(f"INSERT INTO all_{kind} VALUES (2, {places})", [None for _ in VALUES])
    rows = cursor.execute(f"SELECT * FROM all_{kind} ORDER BY k").fetchall()
    for (name, _, value), one, none in zip(VALUES, rows[0][1:], rows[1][1:]):
        same(one, value, f"psycopg, {kind}, {name}")
        same(none, None, f"psycopg, {kind}, {name}")


def psycopg_statements(db):
    db.execute("CREATE TABLE people (id INT PRIMARY KEY, name TEXT NOT NULL DEFAULT 'nobody', age INT)")
    db.execute("CREATE MATERIALIZED VIEW ages AS SELECT COUNT(*) AS n, SUM(age) AS total FROM people")
    with db.cursor() as cursor:
        cursor.executemany("INSERT INTO people VALUES (%s, %s, %s)", [(n, f"p{n}", n % 50) for n in range(200)])
        same(cursor.rowcount, 200, "executemany")
    same(db.execute("SELECT n, total FROM ages").fetchone(), (200, 4900), "a view")
    found = db.execute("UPDATE people SET age = age + 1 WHERE id < %s RETURNING id, age", (3,)).fetchall()
    same(sorted(found), [(0, 1), (1, 2), (2, 3)], "RETURNING")
    same(db.execute("DELETE FROM people WHERE id = ANY(%s)", ([0, 1, 2],)).rowcount, 3, "= ANY of a parameter")
    # The fifth time, a statement is prepared on the server.
    for n in range(10, 20):
        same(db.execute("SELECT name FROM people WHERE id = %s", (n,)).fetchone(), (f"p{n}",), "a prepared statement")
    with db.cursor() as cursor:
        with cursor.copy("COPY people (id, name, age) FROM STDIN") as copy:
            for n in range(1000, 1010):
                copy.write_row((n, f"c\t{n}", None))
        with cursor.copy("COPY (SELECT id, name FROM people WHERE id >= 1008 ORDER BY id) TO STDOUT") as copy:
            same(list(copy.rows()), [("1008", "c\t1008"), ("1009", "c\t1009")], "COPY TO")
    for wrong, state in [
        ("SELEC 1", "42601"),
        ("SELECT * FROM nothing", "42P01"),
        ("SELECT 1 / 0", "22012"),
        ("INSERT INTO people (id, name) VALUES (5000, NULL)", "23502"),
    ]:
        try:
            db.execute(wrong)
            raise AssertionError(f"{wrong} is not refused")
        except psycopg.Error as error:
            same(error.sqlstate, state, wrong)


def psycopg_cursors():
    with psycopg.connect(host="127.0.0.1", port=PORT, user="root", dbname="dev") as db:
        with db.cursor(name="server side") as cursor:
            cursor.itersize = 100
            cursor.execute("SELECT id FROM people WHERE id < %s ORDER BY id", (400,))
            same([row[0] for row in cursor], list(range(3, 200)), "a cursor")
        # After an error, the transaction goes on from before it.
        try:
            with db.transaction():
                db.execute("SELECT * FROM nothing")
        except psycopg.errors.UndefinedTable:
            pass
        same(db.execute("SELECT 1").fetchone(), (1,), "a transaction behind a savepoint")
        db.rollback()
        db.read_only = True
        try:
            db.execute("DELETE FROM people")
            raise AssertionError("a transaction that is read-only has deleted")
        except psycopg.errors.ReadOnlySqlTransaction:
            db.rollback()


def psycopg_cancels(db):
    timer = threading.Timer(0.5, db.cancel)
    begin = time.monotonic()
    timer.start()
    try:
        db.execute(LONG)
        raise AssertionError("nothing was cancelled")
    except psycopg.errors.QueryCanceled:
        pass
    timer.join()
    assert time.monotonic() - begin < 30, "cancelling takes long"
    same(db.execute("SELECT 2").fetchone(), (2,), "after cancelling")


def with_psycopg():
    with psycopg.connect(host="127.0.0.1", port=PORT, user="root", dbname="dev", autocommit=True) as db:
        db.execute("SET TIME ZONE 'UTC'")
        psycopg_both_ways(db, False)
        psycopg_both_ways(db, True)
        psycopg_statements(db)
        db.execute("CREATE TABLE numbers (n INT)")
        db.execute("INSERT INTO numbers SELECT * FROM UNNEST(%s::INT[]) AS t(n)", (list(range(1000)),))
        psycopg_cursors()
        psycopg_cancels(db)


async def with_asyncpg():
    db = await asyncpg.connect(host="127.0.0.1", port=PORT, user="root", database="dev")
    columns = ", ".join(f"{name} {of}" for name, of, _ in VALUES)
    await db.execute(f"CREATE TABLE all_asyncpg (k INT PRIMARY KEY, {columns})")
    places = ", ".join(f"${at}::{of}" for at, (_, of, _) in enumerate(VALUES, 2))
    insert = f"INSERT INTO all_asyncpg VALUES ($1::INT, {places})"
    await db.execute(insert, 1, *[value for _, _, value in VALUES])
    await db.execute(insert, 2, *[None for _ in VALUES])
    one, none = await db.fetch("SELECT * FROM all_asyncpg ORDER BY k")
    for name, _, value in VALUES:
        same(one[name], value, f"asyncpg, {name}")
        same(none[name], None, f"asyncpg, {name}")
    statement = await db.prepare("SELECT name, age FROM people WHERE id = $1")
    same(tuple(await statement.fetchrow(7)), ("p7", 7), "asyncpg, a prepared statement")
    same([c.name for c in statement.get_attributes()], ["name", "age"], "asyncpg, columns")
    async with db.transaction():
        found = []
        async for row in db.cursor("SELECT id FROM people WHERE id < 100 ORDER BY id", prefetch=10):
            found.append(row["id"])
        same(found, list(range(3, 100)), "asyncpg, a cursor")
    async with db.transaction(isolation="serializable", readonly=True):
        try:
            async with db.transaction():
                await db.execute("DELETE FROM people")
            raise AssertionError("asyncpg: a transaction that is read-only has deleted")
        except asyncpg.ReadOnlySQLTransactionError:
            pass
        same(await db.fetchval("SHOW transaction_isolation"), "serializable", "asyncpg, isolation")
    # It asks the catalogs for the types that it does not know.
    same(await db.fetchval("SELECT ARRAY[typname, 'x'::name] FROM pg_type WHERE oid = 23"), ["int4", "x"], "asyncpg, name[]")
    same(await db.fetchval("SELECT COUNT(*) FROM people WHERE id = ANY($1::INT[])", [3, 4, 9999]), 2, "asyncpg, = ANY")
    try:
        await asyncio.wait_for(db.fetchval(LONG), timeout=0.5)
        raise AssertionError("nothing was cancelled")
    except (asyncio.TimeoutError, asyncpg.QueryCanceledError):
        pass
    same(await db.fetchval("SELECT 3"), 3, "asyncpg, after cancelling")
    await db.close()
    # A connection that comes back to its pool is made as it was.
    async with asyncpg.create_pool(host="127.0.0.1", port=PORT, user="root", database="dev", min_size=1, max_size=1) as pool:
        for _ in range(2):
            async with pool.acquire() as pooled:
                await pooled.execute("SET my.own = 'x'")
                same(await pooled.fetchval("SELECT COUNT(*) FROM people WHERE id = $1", 7), 1, "asyncpg, a pool")


def with_sqlalchemy():
    engine = sa.create_engine(f"postgresql+psycopg://root@127.0.0.1:{PORT}/dev")
    meta = sa.MetaData()
    books = sa.Table(
        "books",
        meta,
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("part", sa.Text, primary_key=True),
        sa.Column("price", sa.Numeric(10, 2), nullable=False),
        sa.Column("sold", sa.DateTime(timezone=True)),
    )
    meta.create_all(engine)
    # A second time it finds what there is, and makes nothing.
    meta.create_all(engine)
    with engine.begin() as db:
        rows = [{"id": n, "part": "a", "price": decimal.Decimal("9.50"), "sold": None} for n in range(3)]
        db.execute(books.insert(), rows)
        db.execute(sa.text("CREATE MATERIALIZED VIEW sales AS SELECT part, SUM(price) AS total FROM books GROUP BY part"))
    with engine.connect() as db:
        found = db.execute(sa.select(sa.func.sum(books.c.price)).where(books.c.id > 0)).scalar_one()
        same(found, decimal.Decimal("19.00"), "SQLAlchemy, a sum")
    look = sa.inspect(engine)
    assert "books" in look.get_table_names(), look.get_table_names()
    assert "sales" in look.get_materialized_view_names(), look.get_materialized_view_names()
    same(look.get_pk_constraint("books")["constrained_columns"], ["id", "part"], "SQLAlchemy, a key")
    found = [(c["name"], str(c["type"]), c["nullable"]) for c in look.get_columns("books")]
    wanted = [("id", "INTEGER", False), ("part", "TEXT", False), ("price", "NUMERIC(10, 2)", False), ("sold", "TIMESTAMP", True)]
    same(found, wanted, "SQLAlchemy, columns")
    same(look.get_columns("people")[1]["default"], "'nobody'", "SQLAlchemy, a default")
    same(look.get_indexes("books"), [], "SQLAlchemy, indexes")
    same(look.get_foreign_keys("books"), [], "SQLAlchemy, foreign keys")
    again = sa.Table("books", sa.MetaData(), autoload_with=engine)
    same([c.name for c in again.primary_key], ["id", "part"], "SQLAlchemy, reflection")
    engine.dispose()


with_psycopg()
asyncio.run(with_asyncpg())
with_sqlalchemy()
print("psycopg, asyncpg, SQLAlchemy: all is as it is to be")
