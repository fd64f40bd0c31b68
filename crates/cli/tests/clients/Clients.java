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
import org.postgresql.PGConnection;

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

    /** Every type both ways: as texts, and, from the first execution on, prepared and in binary. */
    static void types(Connection db) throws Exception {
        var moment = OffsetDateTime.of(2024, 7, 1, 12, 0, 0, 123_000_000, ZoneOffset.UTC);
        try (var insert = db.prepareStatement("INSERT INTO java VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")) {
            for (int k = 1; k <= 6; k++) {
                insert.setInt(1, k);
                insert.setBoolean(2, true);
                insert.setShort(3, (short) -7);
                insert.setLong(4, Long.MAX_VALUE);
                insert.setFloat(5, 1.25f);
                insert.setDouble(6, 0.1);
                insert.setBigDecimal(7, new BigDecimal("-12.50"));
                insert.setString(8, "it's ß");
                insert.setBytes(9, new byte[] {0, -1});
                insert.setObject(10, LocalDate.of(2024, 2, 29));
                insert.setObject(11, LocalDateTime.of(2024, 1, 2, 3, 4, 5, 600_000_000));
                insert.setObject(12, moment);
                insert.setArray(13, db.createArrayOf("int4", new Integer[] {1, null, 3}));
                equal(insert.executeUpdate(), 1);
            }
        }
        try (var nulls = db.prepareStatement("INSERT INTO java (k) VALUES (?)")) {
            nulls.setInt(1, 7);
            equal(nulls.executeUpdate(), 1);
        }
        try (var read = db.prepareStatement("SELECT * FROM java WHERE k = ?")) {
            for (int k = 1; k <= 7; k++) {
                read.setInt(1, k);
                var row = read.executeQuery();
                equal(row.next(), true);
                equal(row.getInt("k"), k);
                if (k == 7) {
                    for (int at = 2; at <= 13; at++) equal(row.getObject(at), null);
                    continue;
                }
                equal(row.getBoolean("b"), true);
                equal(row.getShort("i2"), (short) -7);
                equal(row.getLong("i8"), Long.MAX_VALUE);
                equal(row.getFloat("f4"), 1.25f);
                equal(row.getDouble("f8"), 0.1);
                equal(row.getBigDecimal("n"), new BigDecimal("-12.50"));
                equal(row.getString("t"), "it's ß");
                equal(row.getBytes("y"), new byte[] {0, -1});
                equal(row.getObject("d", LocalDate.class), LocalDate.of(2024, 2, 29));
                equal(row.getObject("ts", LocalDateTime.class), LocalDateTime.of(2024, 1, 2, 3, 4, 5, 600_000_000));
                equal(row.getObject("tz", OffsetDateTime.class).toInstant(), moment.toInstant());
                equal(row.getArray("a").getArray(), new Integer[] {1, null, 3});
                equal(row.next(), false);
            }
        }
        try (var select = db.createStatement(); var row = select.executeQuery("SELECT CAST('03:04:05' AS TIME)")) {
            equal(row.next(), true);
            equal(row.getObject(1, LocalTime.class), LocalTime.of(3, 4, 5));
        }
    }

    static void statements(Connection db, String port) throws Exception {
        try (var s = db.createStatement()) {
            s.execute("CREATE MATERIALIZED VIEW java_total AS SELECT COUNT(*) AS n, SUM(f8) AS total FROM java");
            var total = s.executeQuery("SELECT n, total FROM java_total");
            equal(total.next(), true);
            equal(total.getLong(1), 7L);
            equal(s.executeUpdate("UPDATE java SET t = 'new' WHERE k > 5"), 2);
            equal(s.executeUpdate("DELETE FROM java WHERE k = 7"), 1);
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
            s.setInt(1, 6);
            var row = s.executeQuery();
            equal(row.next(), true);
            equal(row.getString(1), "new");
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
            List.of("k", "b", "i2", "i8", "f4", "f8", "n", "t", "y", "d", "ts", "tz", "a"));
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
                s.execute("CREATE TABLE java (k INT PRIMARY KEY, b BOOLEAN, i2 SMALLINT, i8 BIGINT, f4 REAL, f8 DOUBLE PRECISION, "
                    + "n NUMERIC(10, 2), t TEXT, y BYTEA, d DATE, ts TIMESTAMP, tz TIMESTAMPTZ, a INT[])");
            }
            types(db);
            statements(db, args[0]);
            catalogs(db);
            users(db, args[0]);
        }
    }
}
