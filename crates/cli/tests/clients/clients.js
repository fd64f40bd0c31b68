// node-postgres against a server: node clients.js PORT [DIRECTORY OF node_modules]
const path = require("node:path");
const assert = require("node:assert");
const { Client } = require(path.join(process.argv[3] ?? ".", "node_modules", "pg"));

const connection = { host: "127.0.0.1", port: Number(process.argv[2]), user: "root", database: "dev" };

async function main() {
  const db = new Client(connection);
  await db.connect();
  await db.query("CREATE TABLE node (k INT PRIMARY KEY, b BOOLEAN, i8 BIGINT, f8 DOUBLE PRECISION, n NUMERIC(10, 2), t TEXT, y BYTEA, ts TIMESTAMPTZ, a INT[], x TEXT[])");
  await db.query("CREATE MATERIALIZED VIEW node_total AS SELECT COUNT(*) AS n, SUM(f8) AS total FROM node");
  const moment = new Date("2024-07-01T12:00:00.123Z");
  const row = [1, true, "9223372036854775807", 0.5, "12.50", "it's ß", Buffer.from([0, 255]), moment, [1, null, 3], ["a", 'q"', null]];
  const changed = await db.query("INSERT INTO node VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)", row);
  assert.strictEqual(changed.rowCount, 1);
  await db.query("INSERT INTO node (k) VALUES ($1)", [2]);
  const read = await db.query({ text: "SELECT * FROM node ORDER BY k", rowMode: "array" });
  assert.deepStrictEqual(read.rows[0], row);
  assert.deepStrictEqual(read.rows[1], [2, ...Array(9).fill(null)]);
  // A prepared statement has a name.
  for (const k of [1, 2, 3]) {
    const found = await db.query({ name: "by key", text: "SELECT t FROM node WHERE k = $1", values: [k] });
    assert.strictEqual(found.rows.length, k < 3 ? 1 : 0);
  }
  const total = await db.query("SELECT n, total FROM node_total");
  assert.deepStrictEqual(total.rows, [{ n: "2", total: 0.5 }]);
  await db.query("BEGIN");
  await db.query("DECLARE c CURSOR FOR SELECT k FROM node ORDER BY k");
  assert.deepStrictEqual((await db.query("FETCH 1 FROM c")).rows, [{ k: 1 }]);
  assert.deepStrictEqual((await db.query("FETCH ALL FROM c")).rows, [{ k: 2 }]);
  await db.query("COMMIT");
  await assert.rejects(db.query("SELECT * FROM nothing"), { code: "42P01" });
  await assert.rejects(db.query("SELECT 1 / 0"), { code: "22012" });
  // What runs is cancelled from another connection.
  const other = new Client(connection);
  await db.query("CREATE TABLE many (n INT)");
  await db.query("INSERT INTO many SELECT * FROM UNNEST($1::INT[]) AS t(n)", [[...Array(1000).keys()]]);
  const long = assert.rejects(db.query("SELECT COUNT(*) FROM many a, many b, many c WHERE a.n + b.n + c.n < 0"), { code: "57014" });
  setTimeout(() => other.cancel(db, db._activeQuery ?? db.activeQuery), 500);
  await long;
  assert.deepStrictEqual((await db.query("SELECT 2 AS two")).rows, [{ two: 2 }]);
  await db.end();
  console.log("node-postgres: all is as it is to be");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
