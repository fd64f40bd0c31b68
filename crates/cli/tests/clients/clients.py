"""Drivers of Python against a server: psycopg 3, asyncpg, SQLAlchemy.

    python clients.py PORT

Each makes tables and views, changes and reads them, sends values of every type both ways, uses prepared statements, cursors and
COPY, and cancels. What is expected is what the same calls give with a PostgreSQL 15, but for types that are not here.
"""

import asyncio
import contextlib
import datetime as dt
import decimal
import io
import json
import sys
import threading
import time
import uuid

import asyncpg
import psycopg
import psycopg.types.json
import sqlalchemy as sa
import sqlalchemy.dialects.postgresql as sa_postgresql
import sqlalchemy.orm

PORT = int(sys.argv[1])
UTC = dt.timezone.utc
# A query that does not end by itself for a long time: each row meets each.
LONG = "SELECT COUNT(*) FROM numbers a, numbers b, numbers c WHERE a.n + b.n + c.n < 0"

# Column, type, two values, as every driver has them.
VALUES = [
    ("b", "BOOLEAN", True, False),
    ("i2", "SMALLINT", -32768, 32767),
    ("i4", "INT", 2147483647, -2147483648),
    ("i8", "BIGINT", -9223372036854775808, 9223372036854775807),
    ("f4", "REAL", 0.5, -16777215.0),
    ("f8", "DOUBLE PRECISION", -1.25e100, float("inf")),
    ("n", "NUMERIC(20, 4)", decimal.Decimal("-12345.6789"), decimal.Decimal("9999999999999999.9999")),
    ("t", "TEXT", "it's \\ \"ß\" \n\t", "日本語 🙂"),
    ("y", "BYTEA", b"\x00\xff\\", b""),
    ("d", "DATE", dt.date(2024, 2, 29), dt.date(9999, 12, 30)),
    ("c", "TIME", dt.time(23, 59, 59, 999999), dt.time(0)),
    ("ts", "TIMESTAMP", dt.datetime(1969, 12, 31, 23, 59, 59, 1), dt.datetime(1, 1, 2)),
    ("tz", "TIMESTAMPTZ", dt.datetime(2024, 7, 1, 12, 0, 0, 123456, tzinfo=UTC), dt.datetime(1900, 1, 1, tzinfo=UTC)),
    ("v", "INTERVAL", dt.timedelta(days=3, hours=4, microseconds=5), dt.timedelta(days=-1, microseconds=-1)),
    ("j", "JSONB", {"b": [1, None, "ß"], "a": {"c": -1.5}}, {}),
    ("a4", "INT[]", [1, None, -3], []),
    ("at", "TEXT[]", ["a", "", "null", None, 'q"\\,{}'], ["日本"]),
    ("a8", "DOUBLE PRECISION[]", [], [0.1, float("-inf")]),
]
# What is sent of them, row by row: values, others, NULLs.
ROWS = [[one for _, _, one, _ in VALUES], [other for _, _, _, other in VALUES], [None for _ in VALUES]]


def same(found, wanted, what):
    assert found == wanted, f"{what}: {found!r} is not {wanted!r}"


@contextlib.contextmanager
def refused(wrong, what):
    """The block ends with an error of this kind."""
    try:
        yield
    except wrong:
        return
    raise AssertionError(f"{what} is not refused")


def psycopg_both_ways(db, binary):
    kind = "binary" if binary else "text"
    columns = ", ".join(f"{name} {of}" for name, of, _, _ in VALUES)
    db.execute(f"CREATE TABLE all_{kind} (k INT PRIMARY KEY, {columns})")
    places = ", ".join(f"{'%b' if binary else '%s'}::{of}" for _, of, _, _ in VALUES)
    cursor = db.cursor(binary=binary)
    for k, sent in enumerate(ROWS):
        cursor.execute(f"INSERT INTO all_{kind} VALUES ({k}, {places})", sent)
    found = cursor.execute(f"SELECT * FROM all_{kind} ORDER BY k").fetchall()
    same(len(found), len(ROWS), f"psycopg, {kind}, rows")
    for sent, row in zip(ROWS, found):
        for (name, *_), value, came in zip(VALUES, sent, row[1:]):
            same(came, value, f"psycopg, {kind}, {name}")


def psycopg_uuids(db):
    db.execute("CREATE TABLE things (id UUID PRIMARY KEY, parts UUID[])")
    ids = [uuid.UUID(int=0), uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"), uuid.UUID(int=2**128 - 1)]
    for at, form in enumerate(["%s", "%b", "%t"]):
        db.execute(f"INSERT INTO things VALUES ({form}, {form})", (ids[at], ids[:at]))
    for binary in (False, True):
        cursor = db.cursor(binary=binary)
        found = cursor.execute("SELECT id, parts FROM things ORDER BY id").fetchall()
        # They come back as the texts that they are here.
        wanted = [(str(one), [str(part) for part in ids[:at]]) for at, one in enumerate(ids)]
        same([(str(one), [str(part) for part in parts]) for one, parts in found], wanted, "UUIDs")
    for form in ("%s", "%b", "%t"):
        same(len(db.execute(f"SELECT id FROM things WHERE id = {form}", (ids[1],)).fetchall()), 1, "a UUID")
        found = db.execute(f"SELECT COUNT(*) FROM things WHERE id = ANY({form})", ([ids[0], ids[2], uuid.uuid4()],))
        same(found.fetchone(), (2,), "= ANY of UUIDs")
    same(db.execute("UPDATE things SET parts = %s WHERE id = %s", ([None, ids[0]], ids[2])).rowcount, 1, "a UUID to be changed")
    same(db.execute("SELECT parts[1], parts[2]::text FROM things WHERE id = %s", (ids[2],)).fetchone(), (None, str(ids[0])), "UUID[]")


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
        with refused(psycopg.errors.lookup(state), wrong):
            db.execute(wrong)


def psycopg_definitions(db):
    db.execute("CREATE TABLE pets (id INT PRIMARY KEY, name TEXT)")
    db.execute("INSERT INTO pets VALUES (1, 'rex')")
    db.execute("ALTER TABLE pets RENAME COLUMN name TO called")
    db.execute("ALTER TABLE pets ADD COLUMN legs SMALLINT DEFAULT 4")
    same(db.execute("SELECT id, called, legs FROM pets").fetchall(), [(1, "rex", 4)], "columns that are altered")
    db.execute("ALTER TABLE pets DROP COLUMN legs")
    db.execute("DROP TABLE pets")
    with refused(psycopg.errors.UndefinedTable, "a table that is dropped"):
        db.execute("SELECT * FROM pets")


def psycopg_cursors():
    with psycopg.connect(host="127.0.0.1", port=PORT, user="root", dbname="dev") as db:
        with db.cursor(name="server side") as cursor:
            cursor.itersize = 100
            cursor.execute("SELECT id FROM people WHERE id < %s ORDER BY id", (400,))
            same([row[0] for row in cursor], list(range(3, 200)), "a cursor")
        # After an error, the transaction goes on from before it.
        with refused(psycopg.errors.UndefinedTable, "a table that there is not"), db.transaction():
            db.execute("SELECT * FROM nothing")
        same(db.execute("SELECT 1").fetchone(), (1,), "a transaction behind a savepoint")
        db.rollback()
        db.read_only = True
        with refused(psycopg.errors.ReadOnlySqlTransaction, "DELETE in a transaction that is read-only"):
            db.execute("DELETE FROM people")
        db.rollback()


@contextlib.contextmanager
def cancelling(cancel):
    """What runs meanwhile is cancelled: asked for until it has come, as it means nothing before the statement runs."""
    over = threading.Event()

    def again():
        while not over.wait(0.1):
            cancel()

    canceller = threading.Thread(target=again)
    canceller.start()
    try:
        yield
    finally:
        over.set()
        canceller.join()


def psycopg_cancels(db):
    with refused(psycopg.errors.QueryCanceled, "what is cancelled"), cancelling(db.cancel_safe):
        db.execute(LONG)
    same(db.execute("SELECT 2").fetchone(), (2,), "after cancelling")


def psycopg_cancels_copies(db):
    """Of a COPY that is cancelled, or takes too long, nothing stays."""
    db.execute("CREATE TABLE copied (n INT)")
    copies = "COPY copied FROM STDIN"
    with refused(psycopg.errors.QueryCanceled, "a COPY that is cancelled"), db.cursor().copy(copies) as copy:
        copy.write_row((1,))
        db.cancel_safe()
        copy.write_row((2,))
    same(db.execute("SELECT COUNT(*) FROM copied").fetchone(), (0,), "what is left of a COPY that was cancelled")
    # One whose client finds its own fault.
    with refused(ZeroDivisionError, "a COPY that is given up"), db.cursor().copy(copies) as copy:
        copy.write_row((1,))
        raise ZeroDivisionError("of the client")
    with db.cursor().copy(copies) as copy:
        copy.write_row((3,))
    same(db.execute("SELECT n FROM copied").fetchall(), [(3,)], "a COPY after those")
    with psycopg.connect(host="127.0.0.1", port=PORT, user="root", dbname="dev", autocommit=True) as other:
        other.execute("SET statement_timeout = '500ms'")
        with refused(psycopg.errors.QueryCanceled, "a COPY that takes too long"), other.cursor().copy(copies) as copy:
            copy.write_row((4,))
            # It takes longer than the statement may, however fast the machine is.
            time.sleep(1)
            copy.write_row((5,))
    same(db.execute("SELECT n FROM copied").fetchall(), [(3,)], "what is left of a COPY that took too long")


def with_psycopg():
    with psycopg.connect(host="127.0.0.1", port=PORT, user="root", dbname="dev", autocommit=True) as db:
        db.execute("SET TIME ZONE 'UTC'")
        db.adapters.register_dumper(dict, psycopg.types.json.JsonbDumper)
        db.adapters.register_dumper(dict, psycopg.types.json.JsonbBinaryDumper)
        psycopg_both_ways(db, False)
        psycopg_both_ways(db, True)
        psycopg_uuids(db)
        psycopg_statements(db)
        psycopg_definitions(db)
        db.execute("CREATE TABLE numbers (n INT)")
        db.execute("INSERT INTO numbers SELECT * FROM UNNEST(%s::INT[]) AS t(n)", (list(range(1000)),))
        psycopg_cursors()
        psycopg_cancels(db)
        psycopg_cancels_copies(db)


async def asyncpg_uuids(db):
    """As the driver takes them: for a column of texts it wants texts, and takes them for one of UUIDs too."""
    await db.execute("CREATE TABLE things_asyncpg (id UUID PRIMARY KEY, parts UUID[])")
    ids = [str(uuid.UUID(int=0)), "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", str(uuid.UUID(int=2**128 - 1))]
    for at, one in enumerate(ids):
        await db.execute("INSERT INTO things_asyncpg VALUES ($1, $2)", one, ids[:at])
    found = await db.fetch("SELECT id, parts FROM things_asyncpg WHERE id = ANY($1) ORDER BY id", ids[1:])
    wanted = [(one, ids[:at]) for at, one in enumerate(ids)][1:]
    same([(str(row["id"]), [str(part) for part in row["parts"]]) for row in found], wanted, "asyncpg, UUIDs")


async def asyncpg_gives_up_a_copy(db):
    """Of a COPY whose task is cancelled nothing stays."""
    begun = asyncio.Event()

    async def rows():
        yield b"40\tx\t4\n"
        begun.set()
        await asyncio.Event().wait()

    copying = asyncio.create_task(db.copy_to_table("pets", source=rows()))
    await begun.wait()
    copying.cancel()
    with refused(asyncio.CancelledError, "asyncpg, a COPY that is cancelled"):
        await copying
    same(await db.fetchval("SELECT COUNT(*) FROM pets WHERE id = 40"), 0, "asyncpg, what is left of a COPY that was cancelled")


async def asyncpg_statements(db):
    await db.execute("CREATE TABLE pets (id INT PRIMARY KEY, name TEXT NOT NULL, legs SMALLINT)")
    await db.execute("CREATE MATERIALIZED VIEW all_legs AS SELECT SUM(legs) AS legs FROM pets")
    await db.executemany("INSERT INTO pets VALUES ($1, $2, $3)", [(n, f"p{n}", 4) for n in range(10)])
    same(await db.fetchval("SELECT legs FROM all_legs"), 40, "asyncpg, a view")
    changed = await db.fetch("UPDATE pets SET legs = $2 WHERE id < $1 RETURNING id, legs", 2, -1)
    same(sorted(map(tuple, changed)), [(0, -1), (1, -1)], "asyncpg, RETURNING")
    same(await db.execute("DELETE FROM pets WHERE id > $1", 6), "DELETE 3", "asyncpg, DELETE")
    same(await db.fetchval("SELECT legs FROM all_legs"), 18, "asyncpg, a view of what was changed")
    rows = io.BytesIO("20\tß\t\\N\n21\t\t-3\n".encode())
    same(await db.copy_to_table("pets", source=rows), "COPY 2", "asyncpg, COPY")
    found = await db.fetch("SELECT * FROM pets WHERE id >= 20 ORDER BY id")
    same([tuple(row) for row in found], [(20, "ß", None), (21, "", -3)], "asyncpg, what was copied")
    await asyncpg_gives_up_a_copy(db)
    with refused(asyncpg.NotNullViolationError, "NULL in what is NOT NULL"):
        await db.execute("INSERT INTO pets VALUES ($1, $2)", 30, None)
    await db.execute("DROP MATERIALIZED VIEW all_legs")
    await db.execute("ALTER TABLE pets ADD COLUMN born DATE")
    await db.execute("UPDATE pets SET born = $1 WHERE id = 0", dt.date(2020, 2, 29))
    same(await db.fetchval("SELECT born FROM pets WHERE id = 0"), dt.date(2020, 2, 29), "asyncpg, a column that is added")
    await db.execute("ALTER TABLE pets DROP COLUMN born")
    await db.execute("DROP TABLE pets")
    with refused(asyncpg.UndefinedTableError, "a table that is dropped"):
        await db.fetch("SELECT * FROM pets")


async def with_asyncpg():
    db = await asyncpg.connect(host="127.0.0.1", port=PORT, user="root", database="dev")
    await db.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
    columns = ", ".join(f"{name} {of}" for name, of, _, _ in VALUES)
    await db.execute(f"CREATE TABLE all_asyncpg (k INT PRIMARY KEY, {columns})")
    places = ", ".join(f"${at}" for at in range(2, len(VALUES) + 2))
    for k, sent in enumerate(ROWS):
        same(await db.execute(f"INSERT INTO all_asyncpg VALUES ($1, {places})", k, *sent), "INSERT 0 1", "asyncpg, a row")
    found = await db.fetch("SELECT * FROM all_asyncpg ORDER BY k")
    same(len(found), len(ROWS), "asyncpg, rows")
    for sent, row in zip(ROWS, found):
        for (name, *_), value in zip(VALUES, sent):
            same(row[name], value, f"asyncpg, {name}")
    await asyncpg_uuids(db)
    await asyncpg_statements(db)
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


# The types of the columns of VALUES, in their order.
SQLALCHEMY_TYPES = [
    sa.Boolean(),
    sa.SmallInteger(),
    sa.Integer(),
    sa.BigInteger(),
    sa.REAL(),
    sa.Double(),
    sa.Numeric(20, 4),
    sa.Text(),
    sa.LargeBinary(),
    sa.Date(),
    sa.Time(),
    sa.DateTime(),
    sa.DateTime(timezone=True),
    sa.Interval(),
    sa_postgresql.JSONB(none_as_null=True),
    sa_postgresql.ARRAY(sa.Integer),
    sa_postgresql.ARRAY(sa.Text),
    sa_postgresql.ARRAY(sa.Double),
]


def sqlalchemy_both_ways(engine):
    names = [name for name, *_ in VALUES]
    columns = [sa.Column(name, of) for name, of in zip(names, SQLALCHEMY_TYPES, strict=True)]
    meta = sa.MetaData()
    table = sa.Table("all_sqlalchemy", meta, sa.Column("k", sa.Integer, primary_key=True, autoincrement=False), *columns)
    meta.create_all(engine)
    with engine.begin() as db:
        db.execute(sa.text("SET TIME ZONE 'UTC'"))
        db.execute(table.insert(), [{"k": k, **dict(zip(names, sent))} for k, sent in enumerate(ROWS)])
        found = db.execute(sa.select(table).order_by(table.c.k)).mappings().all()
        same(len(found), len(ROWS), "SQLAlchemy, rows")
        for sent, row in zip(ROWS, found):
            for name, value in zip(names, sent):
                same(row[name], value, f"SQLAlchemy, {name}")
        # Each value finds its row.
        for column, value in zip(table.columns[1:], ROWS[0]):
            same(db.execute(sa.select(table.c.k).where(column == value)).scalars().all(), [0], f"SQLAlchemy, {column.name}")
        within = sa.select(table.c.k).where(table.c.j.contains({"a": {"c": -1.5}}))
        same(db.execute(within).scalars().all(), [0], "SQLAlchemy, JSON within")
        path = sa.select(table.c.j["a", "c"].astext).order_by(table.c.k)
        same(db.execute(path).scalars().all(), ["-1.5", None, None], "SQLAlchemy, a path into JSON")
    again = sa.Table("all_sqlalchemy", sa.MetaData(), autoload_with=engine)
    same([c.type.compile(engine.dialect) for c in again.columns], [c.type.compile(engine.dialect) for c in table.columns], "SQLAlchemy, types")
    meta.drop_all(engine)
    assert not sa.inspect(engine).has_table("all_sqlalchemy"), "SQLAlchemy, a table that is dropped"


def sqlalchemy_statements(engine, books):
    with engine.begin() as db:
        changed = db.execute(books.update().where(books.c.id == 1).values(price=books.c.price * 2, sold=dt.datetime(2024, 7, 1, tzinfo=UTC)))
        same(changed.rowcount, 1, "SQLAlchemy, UPDATE")
        changed = db.execute(books.update().where(books.c.id < 2).values(price=books.c.price + 1).returning(books.c.id, books.c.price))
        same(sorted(map(tuple, changed)), [(0, decimal.Decimal("10.50")), (1, decimal.Decimal("20.00"))], "SQLAlchemy, RETURNING")
        put = sa_postgresql.insert(books).values(id=1, part="a", price=7)
        db.execute(put.on_conflict_do_update(index_elements=["id", "part"], set_={"price": put.excluded.price}))
        same(db.execute(sa.select(books.c.price).where(books.c.id == 1)).scalar_one(), 7, "SQLAlchemy, ON CONFLICT")
        same(db.execute(books.delete().where(books.c.id.in_([0, 2, 99]))).rowcount, 2, "SQLAlchemy, DELETE")
        found = db.execute(sa.text("SELECT part, total FROM sales")).all()
        same(found, [("a", 7)], "SQLAlchemy, a view of what was changed")
    with refused(sa.exc.IntegrityError, "NULL in what is NOT NULL"), engine.begin() as db:
        db.execute(books.insert().values(id=5, part="b", price=None))


def sqlalchemy_streams(engine):
    """So many rows at a time: a cursor of the server's."""
    numbers = sa.table("numbers", sa.column("n"))
    query = sa.select(numbers.c.n).order_by(numbers.c.n)
    with engine.connect() as db:
        rows = db.execution_options(stream_results=True, max_row_buffer=50).execute(query)
        same(rows.fetchmany(3), [(0,), (1,), (2,)], "SQLAlchemy, a stream")
        same(rows.scalars().all(), list(range(3, 1000)), "SQLAlchemy, the rest of a stream")
    with engine.connect() as db:
        sizes = [len(part) for part in db.execution_options(yield_per=300).execute(query).partitions()]
        same(sizes, [300, 300, 300, 100], "SQLAlchemy, yield_per")


def sqlalchemy_cancels(engine):
    with engine.connect() as db:
        with refused(sa.exc.OperationalError, "what is cancelled"), cancelling(db.connection.driver_connection.cancel_safe):
            db.execute(sa.text(LONG))
        db.rollback()
        same(db.execute(sa.text("SELECT 2")).scalar_one(), 2, "SQLAlchemy, after cancelling")


class Base(sa.orm.DeclarativeBase):
    pass


class Author(Base):
    """Its poems are found without a foreign key, which tables do not have here."""

    __tablename__ = "authors"
    id: sa.orm.Mapped[int] = sa.orm.mapped_column(primary_key=True, autoincrement=False)
    name: sa.orm.Mapped[str]
    about: sa.orm.Mapped[dict | None] = sa.orm.mapped_column(sa_postgresql.JSONB)
    poems: sa.orm.Mapped[list["Poem"]] = sa.orm.relationship(
        primaryjoin="Author.id == foreign(Poem.author_id)", cascade="all, delete-orphan", order_by="Poem.title"
    )


class Poem(Base):
    __tablename__ = "poems"
    title: sa.orm.Mapped[str] = sa.orm.mapped_column(primary_key=True)
    author_id: sa.orm.Mapped[int]


def sqlalchemy_units_of_work(engine):
    Base.metadata.create_all(engine)
    with sa.orm.Session(engine) as session:
        poe = Author(id=1, name="Poe", about={"born": 1809}, poems=[Poem(title="The Raven"), Poem(title="Ulalume")])
        session.add_all([poe, Author(id=2, name="Nobody")])
        session.commit()
    with sa.orm.Session(engine) as session:
        poe = session.get(Author, 1)
        same((poe.name, poe.about), ("Poe", {"born": 1809}), "SQLAlchemy, an object")
        same([poem.title for poem in poe.poems], ["The Raven", "Ulalume"], "SQLAlchemy, what belongs to an object")
        # One is changed, one is gone, one is new, and so is what belongs to them.
        poe.name = "Edgar Allan Poe"
        poe.poems.pop()
        poe.poems.append(Poem(title="Annabel Lee"))
        session.delete(session.get(Author, 2))
        session.add(Author(id=3, name="Ñ"))
        session.commit()
    with sa.orm.Session(engine) as session:
        names = session.scalars(sa.select(Author.name).order_by(Author.id)).all()
        same(names, ["Edgar Allan Poe", "Ñ"], "SQLAlchemy, objects that were changed")
        joined = sa.select(Author.name, Poem.title).join(Author.poems).order_by(Poem.title)
        same(session.execute(joined).all(), [("Edgar Allan Poe", "Annabel Lee"), ("Edgar Allan Poe", "The Raven")], "SQLAlchemy, a join")
        # What was loaded with its objects, a page at a time.
        loaded = sa.select(Author).options(sa.orm.selectinload(Author.poems)).order_by(Author.id).execution_options(yield_per=1)
        same([len(author.poems) for author in session.scalars(loaded)], [2, 0], "SQLAlchemy, objects at a time")
        session.execute(sa.update(Author).where(Author.id == 3).values(name="N"))
        session.execute(sa.delete(Author).where(Author.id == 1))
        session.commit()
        same([author.name for author in session.scalars(sa.select(Author))], ["N"], "SQLAlchemy, objects that statements change")
    Base.metadata.drop_all(engine)


def sqlalchemy_reflects(engine):
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
    sqlalchemy_both_ways(engine)
    sqlalchemy_statements(engine, books)
    sqlalchemy_reflects(engine)
    sqlalchemy_streams(engine)
    sqlalchemy_cancels(engine)
    sqlalchemy_units_of_work(engine)
    engine.dispose()


with_psycopg()
asyncio.run(with_asyncpg())
with_sqlalchemy()
print("psycopg, asyncpg, SQLAlchemy: all is as it is to be")
