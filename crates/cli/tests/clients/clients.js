// node-postgres against a server: node clients.js PORT [DIRECTORY OF node_modules]
//
// What is expected is what the same calls give with a PostgreSQL 15.
const path = require("node:path");
const assert = require("node:assert");
const { Client, types } = require(path.join(process.argv[3] ?? ".", "node_modules", "pg"));

const connection = { host: "127.0.0.1", port: Number(process.argv[2]), user: "root", database: "dev" };
const interval = types.getTypeParser(types.builtins.INTERVAL);

// Column, type, values as they are sent and come back, and the texts of these. Times without a zone are those of this machine's clock.
const VALUES = [
  ["b", "BOOLEAN", [true, "t"], [false, "f"]],
  ["i2", "SMALLINT", [-32768, "-32768"], [32767, "32767"]],
  ["i4", "INT", [-2147483648, "-2147483648"], [2147483647, "2147483647"]],
  ["i8", "BIGINT", ["-9223372036854775808", "-9223372036854775808"], ["9223372036854775807", "9223372036854775807"]],
  ["f4", "REAL", [-0.5, "-0.5"], [Infinity, "Infinity"]],
  ["f8", "DOUBLE PRECISION", [-1.25e100, "-1.25e+100"], [NaN, "NaN"]],
  ["n", "NUMERIC(20, 4)", ["-1234567890123456.7890", "-1234567890123456.7890"], ["0.0001", "0.0001"]],
  ["t", "TEXT", ["it's \\ \"ß\" \n\t", "it's \\ \"ß\" \n\t"], ["", ""]],
  ["u", "VARCHAR(20)", ["日本語 🙂", "日本語 🙂"], ["null", "null"]],
  ["y", "BYTEA", [Buffer.from([0, 255, 92]), "\\x00ff5c"], [Buffer.alloc(0), "\\x"]],
  ["d", "DATE", [new Date(2024, 1, 29), "2024-02-29"], [new Date(1901, 0, 1), "1901-01-01"]],
  ["c", "TIME", ["23:59:59.999999", "23:59:59.999999"], ["00:00:00", "00:00:00"]],
  ["ts", "TIMESTAMP", [new Date(1969, 11, 31, 23, 59, 59, 1), "1969-12-31 23:59:59.001"], [new Date(2038, 0, 20), "2038-01-20 00:00:00"]],
  ["tz", "TIMESTAMPTZ", [new Date("2024-07-01T12:00:00.123Z"), "2024-07-01 12:00:00.123+00"], [new Date(0), "1970-01-01 00:00:00+00"]],
  ["v", "INTERVAL", [interval("1 year 2 mons -3 days 04:05:06.789"), "1 year 2 mons -3 days +04:05:06.789"], [interval("-00:00:00.000001"), "-00:00:00.000001"]],
  ["j", "JSONB", [{ b: [1, null, "ß"], a: { c: 1.5 } }, '{"a": {"c": 1.5}, "b": [1, null, "ß"]}'], [{}, "{}"]],
  ["a4", "INT[]", [[1, null, -3], "{1,NULL,-3}"], [[], "{}"]],
  ["at", "TEXT[]", [["a", "", "null", null, 'q"\\,{}'], '{a,"","null",NULL,"q\\"\\\\,{}"}'], [["ß"], "{ß}"]],
];

async function bothWays(db) {
  const columns = VALUES.map(([name, type]) => `${name} ${type}`).join(", ");
  await db.query(`CREATE TABLE node (k INT PRIMARY KEY, ${columns})`);
  const places = VALUES.map((_, at) => `$${at + 2}`).join(", ");
  const row = (of) => VALUES.map(([, , ...values]) => values[of][0]);
  for (const of of [0, 1]) {
    const changed = await db.query({ name: "put", text: `INSERT INTO node VALUES ($1, ${places})`, values: [of, ...row(of)] });
    assert.strictEqual(changed.rowCount, 1);
  }
  await db.query("INSERT INTO node (k) VALUES ($1)", [2]);
  const all = { text: "SELECT * FROM node ORDER BY k", rowMode: "array" };
  const read = await db.query(all);
  for (const of of [0, 1]) assert.deepStrictEqual(read.rows[of], [of, ...row(of)]);
  assert.deepStrictEqual(read.rows[2], [2, ...VALUES.map(() => null)]);
  // The texts, before the driver makes something of them; with a name, prepared.
  const texts = await db.query({ ...all, name: "all", types: { getTypeParser: () => (text) => text } });
  for (const of of [0, 1]) {
    assert.deepStrictEqual(texts.rows[of], [String(of), ...VALUES.map(([, , ...values]) => values[of][1])]);
  }
  // What the driver reads of binary format.
  const binary = await db.query({ ...all, text: "SELECT b, i2, i4, i8, f4, f8, t, a4 FROM node ORDER BY k", binary: true });
  assert.deepStrictEqual(binary.rows, [
    [true, -32768, -2147483648, "-9223372036854775808", -0.5, -1.25e100, "it's \\ \"ß\" \n\t", [1, null, -3]],
    [false, 32767, 2147483647, "9223372036854775807", Infinity, NaN, "", []],
    Array(8).fill(null),
  ]);
  // Each value finds its row.
  for (const [at, [name]] of VALUES.entries()) {
    const found = await db.query(`SELECT k FROM node WHERE ${name} = $1`, [row(1)[at]]);
    assert.deepStrictEqual(found.rows, [{ k: 1 }], name);
  }
}

async function statements(db) {
  await db.query("CREATE TABLE people (id INT PRIMARY KEY, name TEXT NOT NULL DEFAULT 'nobody', age SMALLINT)");
  await db.query("CREATE MATERIALIZED VIEW ages AS SELECT COUNT(*) AS n, SUM(age) AS total FROM people");
  for (let id = 0; id < 10; id++) await db.query("INSERT INTO people VALUES ($1, $2, $3)", [id, `p${id}`, id * 10]);
  const ages = async () => (await db.query("SELECT n, total FROM ages")).rows;
  assert.deepStrictEqual(await ages(), [{ n: "10", total: "450" }]);
  const changed = await db.query("UPDATE people SET age = age + $2, name = $3 WHERE id < $1 RETURNING id, age, name", [2, 5, "ñ"]);
  assert.strictEqual(changed.command, "UPDATE");
  changed.rows.sort((a, b) => a.id - b.id);
  assert.deepStrictEqual(changed.rows, [{ id: 0, age: 5, name: "ñ" }, { id: 1, age: 15, name: "ñ" }]);
  assert.deepStrictEqual(await ages(), [{ n: "10", total: "460" }]);
  assert.strictEqual((await db.query("UPDATE people SET age = NULL WHERE id = $1", [99])).rowCount, 0);
  const gone = await db.query("DELETE FROM people WHERE id = ANY($1) OR name = $2", [[8, 9, 99], "p7"]);
  assert.deepStrictEqual([gone.command, gone.rowCount], ["DELETE", 3]);
  assert.deepStrictEqual(await ages(), [{ n: "7", total: "220" }]);
  // A prepared statement has a name.
  for (const id of [1, 2, 9]) {
    const found = await db.query({ name: "by key", text: "SELECT name FROM people WHERE id = $1", values: [id] });
    assert.deepStrictEqual(found.rows, id < 9 ? [{ name: id < 2 ? "ñ" : "p2" }] : []);
  }
  await assert.rejects(db.query("SELECT * FROM nothing"), { code: "42P01" });
  await assert.rejects(db.query("SELECT 1 / 0"), { code: "22012" });
  await assert.rejects(db.query("INSERT INTO people (id, name) VALUES ($1, $2)", [50, null]), { code: "23502", column: "name" });
  await assert.rejects(db.query("SELECT name FROM people WHERE id = $1", ["x"]), { code: "22P02" });
}

async function definitions(db) {
  await db.query("CREATE TABLE pets (id INT PRIMARY KEY, name TEXT)");
  await db.query("INSERT INTO pets VALUES (1, 'rex')");
  await db.query("ALTER TABLE pets ADD COLUMN legs SMALLINT DEFAULT 4");
  await db.query("ALTER TABLE pets RENAME COLUMN name TO called");
  assert.deepStrictEqual((await db.query("SELECT * FROM pets")).rows, [{ id: 1, called: "rex", legs: 4 }]);
  await db.query("ALTER TABLE pets DROP COLUMN legs");
  await db.query("ALTER TABLE pets RENAME TO animals");
  const left = await db.query("SELECT * FROM animals");
  assert.deepStrictEqual(left.fields.map((field) => field.name), ["id", "called"]);
  assert.strictEqual((await db.query("DROP TABLE animals")).command, "DROP");
  await assert.rejects(db.query("SELECT * FROM animals"), { code: "42P01" });
  // What a view reads stays.
  await assert.rejects(db.query("DROP TABLE people"), { code: "2BP01" });
  await db.query("DROP MATERIALIZED VIEW ages");
  await db.query("DROP TABLE people");
}

async function cursors(db) {
  await db.query("CREATE TABLE many (n INT)");
  await db.query("INSERT INTO many SELECT * FROM UNNEST($1::INT[]) AS t(n)", [[...Array(1000).keys()]]);
  await db.query("BEGIN");
  await db.query("DECLARE c CURSOR FOR SELECT n FROM many ORDER BY n");
  assert.deepStrictEqual((await db.query("FETCH 2 FROM c")).rows, [{ n: 0 }, { n: 1 }]);
  assert.strictEqual((await db.query("FETCH ALL FROM c")).rowCount, 998);
  await db.query("COMMIT");
}

/** What runs is cancelled from another connection: asked for until it has come, as it means nothing before the query runs. */
async function cancelling(db) {
  const long = db.query("SELECT COUNT(*) FROM many a, many b, many c WHERE a.n + b.n + c.n < 0");
  const cancelled = assert.rejects(long, { code: "57014" });
  const again = setInterval(() => new Client(connection).cancel(db, db._activeQuery), 100);
  await cancelled.finally(() => clearInterval(again));
  assert.deepStrictEqual((await db.query("SELECT 2 AS two")).rows, [{ two: 2 }]);
}

async function main() {
  const db = new Client(connection);
  await db.connect();
  await bothWays(db);
  await statements(db);
  await definitions(db);
  await cursors(db);
  await cancelling(db);
  await db.end();
  console.log("node-postgres: all is as it is to be");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
