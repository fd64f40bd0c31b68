// pgjdbc against a server: java -cp postgresql.jar Clients.java PORT
import java.io.StringReader;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.sql.*;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Properties;
import java.util.stream.Collectors;
import org.postgresql.PGConnection;
import org.postgresql.util.PGInterval;
import org.postgresql.util.PGobject;

public class Clients {
    static void equal(Object found, Object expected) {
        if (!Objects.deepEquals(found, expected)) throw new AssertionError("found " + show(found) + ", expected " + show(expected));
    }

    static String show(Object value) {
        return value instanceof Object[] all ? Arrays.deepToString(all) : String.valueOf(value);
    }

    interface Work {
        void run() throws Exception;
    }

    static void fails(String state, Work work) throws Exception {
        try {
            work.run();
        } catch (SQLException e) {
            equal(e.getSQLState(), state);
            return;
        }
        throw new AssertionError("no error " + state);
    }

    static Connection connect(String port, String user, String password, String... more) throws SQLException {
        var properties = new Properties();
        properties.setProperty("user", user);
        if (password != null) properties.setProperty("password", password);
        for (int at = 0; at < more.length; at += 2) properties.setProperty(more[at], more[at + 1]);
        return DriverManager.getConnection("jdbc:postgresql://127.0.0.1:" + port + "/dev", properties);
    }

    /** The values of a column of a listing. */
    static List<String> column(ResultSet rows, String name) throws SQLException {
        var found = new ArrayList<String>();
        while (rows.next()) found.add(rows.getString(name));
        rows.close();
        return found;
    }

    /** A column, its type, and two values as the driver has them; a third row has NULLs. */
    record Column(String name, String type, Object one, Object other) {
        Object of(int row) {
            return row == 1 ? one : row == 2 ? other : null;
        }
    }

    static final OffsetDateTime MOMENT = OffsetDateTime.of(2024, 7, 1, 12, 0, 0, 123_456_000, ZoneOffset.UTC);

    static final List<Column> COLUMNS = List.of(
        new Column("b", "BOOLEAN", true, false),
        new Column("i2", "SMALLINT", Short.MIN_VALUE, Short.MAX_VALUE),
        new Column("i4", "INT", Integer.MIN_VALUE, Integer.MAX_VALUE),
        new Column("i8", "BIGINT", Long.MIN_VALUE, Long.MAX_VALUE),
        new Column("f4", "REAL", 1.25f, -Float.MAX_VALUE),
        new Column("f8", "DOUBLE PRECISION", 0.1, Double.NEGATIVE_INFINITY),
        new Column("n", "NUMERIC(20, 2)", new BigDecimal("-12.50"), new BigDecimal("999999999999999999.99")),
        new Column("t", "TEXT", "it's \\ \"ß\" \n\t", "日本語 🙂"),
        new Column("y", "BYTEA", new byte[] {0, -1, 92}, new byte[0]),
        new Column("d", "DATE", LocalDate.of(2024, 2, 29), LocalDate.of(1, 1, 2)),
        new Column("c", "TIME", LocalTime.of(23, 59, 59, 999_999_000), LocalTime.of(3, 4, 5)),
        new Column("ts", "TIMESTAMP", LocalDateTime.of(1969, 12, 31, 23, 59, 59, 999_999_000), LocalDateTime.of(9999, 12, 31, 0, 0)),
        new Column("tz", "TIMESTAMPTZ", MOMENT, MOMENT.withYear(1900)),
        new Column("v", "INTERVAL", new PGInterval(1, 2, -3, 4, 5, 6.000007), new PGInterval(0, 0, 0, 0, 0, -0.5)),
        new Column("j", "JSONB", json("{\"a\": {\"c\": -1.5}, \"b\": [1, null, \"ß\"]}"), json("{}")),
        new Column("a", "INT[]", new Integer[] {1, null, -3}, new Integer[0]),
        new Column("x", "TEXT[]", new String[] {"a", "", "null", null, "q\"\\,{}"}, new String[] {"日本"}));

    /** JSON, as the driver sends and reads what it has no class of its own for. */
    static PGobject json(String text) {
        try {
            var value = new PGobject();
            value.setType("jsonb");
            value.setValue(text);
            return value;
        } catch (SQLException e) {
            throw new IllegalArgumentException(e);
        }
    }

    static void put(PreparedStatement to, int at, Object value) throws SQLException {
        var db = to.getConnection();
        if (value instanceof Integer[] all) to.setArray(at, db.createArrayOf("int4", all));
        else if (value instanceof String[] all) to.setArray(at, db.createArrayOf("text", all));
        else if (value == null) to.setNull(at, Types.NULL);
        else to.setObject(at, value);
    }

    static Object read(ResultSet row, Column column) throws SQLException {
        var value = row.getObject(column.name());
        return switch (column.type()) {
            case "SMALLINT" -> value == null ? null : row.getShort(column.name());
            case "DATE" -> row.getObject(column.name(), LocalDate.class);
            case "TIME" -> row.getObject(column.name(), LocalTime.class);
            case "TIMESTAMP" -> row.getObject(column.name(), LocalDateTime.class);
            case "TIMESTAMPTZ" -> row.getObject(column.name(), OffsetDateTime.class);
            default -> value instanceof Array all ? all.getArray() : value;
        };
    }

    /** Every type both ways: as texts, and, from the second execution on, prepared and in binary. */
    static void types(Connection db) throws Exception {
        var places = ", ?".repeat(COLUMNS.size());
        for (int round = 0; round < 4; round++) {
            // A row of values, one of others, one of NULLs.
            try (var insert = db.prepareStatement("INSERT INTO java VALUES (?" + places + ")")) {
                for (int row = 1; row <= 3; row++) {
                    insert.setInt(1, round * 3 + row);
                    for (int at = 0; at < COLUMNS.size(); at++) put(insert, at + 2, COLUMNS.get(at).of(row));
                    equal(insert.executeUpdate(), 1);
                }
            }
        }
        try (var read = db.prepareStatement("SELECT * FROM java WHERE k = ?")) {
            for (int k = 1; k <= 12; k++) {
                read.setInt(1, k);
                var row = read.executeQuery();
                equal(row.next(), true);
                equal(row.getInt("k"), k);
                for (var column : COLUMNS) equal(read(row, column), column.of((k - 1) % 3 + 1));
                equal(row.next(), false);
            }
        }
        // The texts, as the driver got them.
        try (var texts = db.prepareStatement("SELECT v::text, j::text, c::text, x::text FROM java WHERE k = ?")) {
            texts.setInt(1, 1);
            var row = texts.executeQuery();
            equal(row.next(), true);
            equal(row.getString(1), "1 year 2 mons -3 days +04:05:06.000007");
            equal(row.getString(2), "{\"a\": {\"c\": -1.5}, \"b\": [1, null, \"ß\"]}");
            equal(row.getString(3), "23:59:59.999999");
            equal(row.getString(4), "{a,\"\",\"null\",NULL,\"q\\\"\\\\,{}\"}");
        }
    }

    static void statements(Connection db, String port) throws Exception {
        try (var s = db.createStatement()) {
            s.execute("CREATE MATERIALIZED VIEW java_total AS SELECT COUNT(*) AS n, SUM(f8) AS total FROM java");
            var total = s.executeQuery("SELECT n, total FROM java_total");
            equal(total.next(), true);
            equal(total.getLong(1), 12L);
            equal(s.executeUpdate("UPDATE java SET t = 'new' WHERE k > 10"), 2);
            equal(s.executeUpdate("DELETE FROM java WHERE k = 12"), 1);
            total = s.executeQuery("SELECT n, total FROM java_total");
            equal(total.next(), true);
            equal(total.getLong(1), 11L);
            fails("42P01", () -> s.executeQuery("SELECT * FROM nothing"));
            fails("22012", () -> s.executeQuery("SELECT 1 / 0"));
            s.execute("CREATE TABLE many (n INT)");
        }
        try (var insert = db.prepareStatement("INSERT INTO many VALUES (?)")) {
            for (int n = 0; n < 500; n++) {
                insert.setInt(1, n);
                insert.addBatch();
            }
            equal(insert.executeBatch().length, 500);
        }
        // So many rows at a time.
        db.setAutoCommit(false);
        try (var s = db.createStatement()) {
            s.setFetchSize(64);
            var rows = s.executeQuery("SELECT n FROM many ORDER BY n");
            int count = 0;
            while (rows.next()) equal(rows.getInt(1), count++);
            equal(count, 500);
        }
        db.commit();
        db.setReadOnly(true);
        try (var s = db.createStatement()) {
            fails("25006", () -> s.executeUpdate("DELETE FROM many"));
            db.rollback();
            db.setAutoCommit(true);
            db.setReadOnly(false);
            equal(s.executeUpdate("DELETE FROM many WHERE n < 0"), 0);
        }
        // What runs is cancelled, by itself and from another thread.
        try (var s = db.createStatement()) {
            var endless = "SELECT COUNT(*) FROM many a, many b, many c WHERE a.n + b.n + c.n < 0";
            s.setQueryTimeout(1);
            fails("57014", () -> s.executeQuery(endless));
            s.setQueryTimeout(0);
            var canceller = new Thread(() -> {
                try {
                    Thread.sleep(300);
                    s.cancel();
                } catch (Exception e) {
                    throw new RuntimeException(e);
                }
            });
            canceller.start();
            fails("57014", () -> s.executeQuery(endless));
            canceller.join();
        }
        var copy = db.unwrap(PGConnection.class).getCopyAPI();
        equal(copy.copyIn("COPY many FROM STDIN", new StringReader("1000\n1001\n")), 2L);
        var out = new StringWriter();
        copy.copyOut("COPY (SELECT n FROM many WHERE n >= 1000 ORDER BY n) TO STDOUT", out);
        equal(out.toString(), "1000\n1001\n");
        // Simple queries alone, as some poolers want.
        try (var simple = connect(port, "root", null, "preferQueryMode", "simple");
                var s = simple.prepareStatement("SELECT t FROM java WHERE k = ?")) {
            s.setInt(1, 11);
            var row = s.executeQuery();
            equal(row.next(), true);
            equal(row.getString(1), "new");
        }
    }

    static void definitions(Connection db) throws Exception {
        try (var s = db.createStatement()) {
            s.execute("CREATE TABLE pets (id INT PRIMARY KEY, name TEXT)");
            s.execute("INSERT INTO pets VALUES (1, 'rex')");
            s.execute("ALTER TABLE pets ADD COLUMN legs SMALLINT DEFAULT 4");
            s.execute("ALTER TABLE pets RENAME COLUMN name TO called");
            var row = s.executeQuery("SELECT * FROM pets");
            equal(row.next(), true);
            equal(List.of(row.getInt("id"), row.getString("called"), row.getInt("legs")), List.of(1, "rex", 4));
            s.execute("ALTER TABLE pets DROP COLUMN legs");
            equal(s.executeQuery("SELECT * FROM pets").getMetaData().getColumnCount(), 2);
            s.execute("DROP TABLE pets");
            fails("42P01", () -> s.executeQuery("SELECT * FROM pets"));
        }
    }

    static void catalogs(Connection db) throws Exception {
        var meta = db.getMetaData();
        equal(meta.getDatabaseProductName(), "PostgreSQL");
        equal(meta.getUserName(), "root");
        equal(column(meta.getSchemas(), "TABLE_SCHEM").contains("public"), true);
        equal(column(meta.getTables(null, "public", "java%", new String[] {"TABLE"}), "TABLE_NAME"), List.of("java"));
        equal(column(meta.getTables(null, "public", "java%", new String[] {"MATERIALIZED VIEW"}), "TABLE_NAME"), List.of("java_total"));
        equal(column(meta.getColumns(null, "public", "java", "%"), "COLUMN_NAME"),
            List.of("k", "b", "i2", "i4", "i8", "f4", "f8", "n", "t", "y", "d", "c", "ts", "tz", "v", "j", "a", "x"));
        equal(column(meta.getColumns(null, "public", "java", "f_"), "TYPE_NAME"), List.of("float4", "float8"));
        equal(column(meta.getPrimaryKeys(null, "public", "java"), "COLUMN_NAME"), List.of("k"));
        equal(column(meta.getIndexInfo(null, "public", "java", true, false), "COLUMN_NAME"), List.of("k"));
        equal(column(meta.getTypeInfo(), "TYPE_NAME").contains("timestamptz"), true);
        equal(column(meta.getImportedKeys(null, "public", "java"), "FKTABLE_NAME"), List.of());
        equal(column(meta.getTableTypes(), "TABLE_TYPE").contains("MATERIALIZED VIEW"), true);
    }

    static void users(Connection db, String port) throws Exception {
        try (var s = db.createStatement()) {
            s.execute("CREATE USER java PASSWORD 'pencil'");
        }
        try (var own = connect(port, "java", "pencil"); var s = own.createStatement(); var row = s.executeQuery("SELECT current_user")) {
            equal(row.next(), true);
            equal(row.getString(1), "java");
        }
        fails("28P01", () -> connect(port, "java", "pen"));
        fails("28P01", () -> connect(port, "nobody", "pencil"));
    }

    public static void main(String[] args) throws Exception {
        try (var db = connect(args[0], "root", null, "prepareThreshold", "2")) {
            try (var s = db.createStatement()) {
                var columns = COLUMNS.stream().map(column -> ", " + column.name() + " " + column.type());
                s.execute("CREATE TABLE java (k INT PRIMARY KEY" + columns.collect(Collectors.joining()) + ")");
            }
            types(db);
            statements(db, args[0]);
            definitions(db);
            catalogs(db);
            users(db, args[0]);
        }
    }
}
