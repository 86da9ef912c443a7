//! What engines of other makes read: DuckDB's delta extension, ClickHouse's, Sail, and Polars through delta-rs. None of
//! them reads a log with our code; Sail and delta-rs decode Parquet with the library that we write it with.

mod needs_lake_readers {
    use std::fs;
    use std::net::TcpListener;
    use std::path::Path;
    use std::process::Command;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use crate::harness::prometheus::{Process, wait_until};
    use crate::harness::{Run, Sandbox};
    use crate::kills::dies_at;
    use crate::lake::{files_below, newest_entry};

    /// The code of a program that a signal has ended.
    const KILLED: i32 = -1;
    const ENGINES: [&str; 4] = ["duckdb", "sail", "clickhouse", "polars"];
    /// The star's view of this name, in SQL that all engines speak; cells as the test's own SQL has them.
    const REVENUE: &str = "SELECT s.store_id, d.year, d.month, COUNT(*), SUM(p.amount) FROM fact_payment p \
                           JOIN dim_store s ON s.store_key = p.store_key JOIN dim_date d ON d.date_key = p.date_key_paid \
                           GROUP BY s.store_id, d.year, d.month";
    const REVENUE_BY_VIEW: &str = "SELECT store_id || '|' || year || '|' || month || '|' || payments || '|' || \
                                   printf('%d.%02d', revenue_cents / 100, revenue_cents % 100) \
                                   FROM revenue_by_store_and_month";
    const REVENUE_BY_SOURCE: &str = "SELECT CONCAT_WS('|', store, year, month, COUNT(*), SUM(amount)) FROM \
                                     (SELECT COALESCE(i.store_id, s.store_id) AS store, YEAR(p.payment_date) AS year, \
                                     MONTH(p.payment_date) AS month, p.amount \
                                     FROM payment p JOIN staff s ON s.staff_id = p.staff_id \
                                     LEFT JOIN rental r ON r.rental_id = p.rental_id \
                                     LEFT JOIN inventory i ON i.inventory_id = r.inventory_id) payments \
                                     GROUP BY store, year, month";
    const CATEGORIES: &str = "SELECT c.name, COUNT(*) FROM fact_rental r \
                              JOIN bridge_film_category b ON b.film_key = r.film_key \
                              JOIN dim_category c ON c.category_key = b.category_key GROUP BY c.name";
    const CATEGORIES_BY_VIEW: &str = "SELECT category || '|' || rentals FROM rentals_by_film_category \
                                      WHERE rentals > 0 AND category IS NOT NULL";
    const DAYS: &str = "SELECT d.date, s.store_id, COUNT(*) FROM fact_rental r \
                        JOIN dim_date d ON d.date_key = r.date_key_rented \
                        JOIN dim_store s ON s.store_key = r.store_key GROUP BY d.date, s.store_id";
    const DAYS_BY_VIEW: &str = "SELECT date || '|' || store_id || '|' || rentals FROM rentals_by_day WHERE rentals > 0";
    const VIEWS: [(&str, &str); 3] = [
        (REVENUE, REVENUE_BY_VIEW),
        (CATEGORIES, CATEGORIES_BY_VIEW),
        (DAYS, DAYS_BY_VIEW),
    ];
    /// By the column that the tables are divided by, which no file contains.
    const MONTHS: &str = "SELECT month, SUM(amount) FROM fact_payment WHERE month >= 202501 GROUP BY month";
    const MONTHS_BY_STAR: &str = "SELECT (date_key_paid / 100) || '|' || \
                                  printf('%d.%02d', SUM(CAST(ROUND(amount * 100) AS INTEGER)) / 100, \
                                  SUM(CAST(ROUND(amount * 100) AS INTEGER)) % 100) FROM fact_payment \
                                  WHERE date_key_paid >= 20250101 GROUP BY date_key_paid / 100";
    const TOTAL: &str = "SELECT SUM(amount) FROM fact_payment";
    const TOTAL_BY_STAR: &str = "SELECT printf('%d.%02d', SUM(CAST(ROUND(amount * 100) AS INTEGER)) / 100, \
                                 SUM(CAST(ROUND(amount * 100) AS INTEGER)) % 100) FROM fact_payment";

    fn python() -> String {
        std::env::var("SAKILA_SYNC_LAKE_PYTHON").expect("scripts/install-lake-readers prints it")
    }

    fn reader(engine: &str, lake: &str, query: &[&str]) -> Command {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/lake/read.py");
        let mut command = Command::new(python());
        command.arg(script).args([engine, lake]).args(query);
        command
    }

    fn read(engine: &str, lake: &Path, query: &[&str]) -> Vec<String> {
        rows(reader(engine, lake.to_str().unwrap(), query))
    }

    /// What a reader prints, sorted.
    fn rows(reader: Command) -> Vec<String> {
        let run = Run::of(reader).succeeds();
        let mut rows: Vec<String> = run.stdout.lines().map(str::to_owned).collect();
        rows.sort_unstable();
        rows
    }

    fn assert_engines_agree(sandbox: &Sandbox) {
        assert_eq!(sandbox.star(REVENUE_BY_VIEW), sandbox.source(REVENUE_BY_SOURCE));
        for (query, view) in VIEWS.into_iter().chain([(MONTHS, MONTHS_BY_STAR)]) {
            let expected = sandbox.star(view);
            assert!(!expected.is_empty(), "{view}");
            for engine in ENGINES {
                assert_eq!(read(engine, &sandbox.lake(), &[query]), expected, "{engine}: {query}");
            }
        }
        // On several workers, which exchange what they have read.
        let lake = sandbox.lake();
        for (query, view) in VIEWS {
            let mut cluster = reader("sail", lake.to_str().unwrap(), &[query]);
            cluster.env("SAIL_MODE", "local-cluster");
            assert_eq!(rows(cluster), sandbox.star(view), "{query}");
        }
    }

    /// The query of the document for the versions of the tables that belong to one run.
    fn query_of_the_document() -> &'static str {
        const DOCUMENT: &str = include_str!("../../../docs/lake.md");
        let mut blocks = DOCUMENT.split("```sql\n").skip(1);
        let block = blocks.find(|block| block.contains("FROM star_versions")).unwrap();
        block.split(';').next().unwrap()
    }

    #[test]
    #[ignore = "needs the Python of scripts/install-lake-readers"]
    fn engines_read_what_the_views_of_the_star_hold_before_and_after_changes() {
        let sandbox = Sandbox::loaded();
        sandbox.publish(&[]).succeeds();
        assert_engines_agree(&sandbox);

        sandbox.change(&[
            // Also one that keeps its change timestamp.
            "UPDATE payment SET amount = amount + 7, last_update = last_update WHERE payment_id = 3",
            "UPDATE payment SET payment_date = '1999-03-31 10:00:00', amount = amount + 0.01 WHERE payment_id = 1",
            "DELETE FROM payment WHERE payment_id = 2",
            "DELETE FROM rental WHERE rental_id = 5",
            "DELETE FROM film_category WHERE category_id = 3",
        ]);
        sandbox.run(&["incremental", "--verify-budget", "100%"]).succeeds();
        sandbox.assert_star_equals_source();
        let lake = sandbox.lake();
        let publish = ["publish", "--lake", lake.to_str().unwrap()];
        dies_at(&sandbox, &publish, "lake-table-committed", 9);
        sandbox.publish(&[]).succeeds();
        assert_engines_agree(&sandbox);

        // The versions that belong together are read later, when there are newer ones.
        let versions: Vec<String> = read("duckdb", &lake, &[query_of_the_document()])
            .iter()
            .map(|line| line.replace('|', "="))
            .collect();
        assert!(versions.contains(&"fact_payment=1".to_owned()), "{versions:?}");
        assert!(versions.contains(&"dim_film=0".to_owned()), "{versions:?}");
        let then = VIEWS.map(|(_, view)| sandbox.star(view));
        sandbox.change(&[
            "DELETE FROM payment WHERE payment_id = 4",
            "DELETE FROM rental WHERE rental_id = 6",
            "UPDATE category SET name = 'Else' WHERE category_id = 4",
        ]);
        sandbox.run(&["incremental"]).succeeds();
        sandbox.publish(&[]).succeeds();
        for ((query, view), then) in VIEWS.into_iter().zip(&then) {
            assert_ne!(&sandbox.star(view), then, "{view}");
            let query: Vec<&str> = versions.iter().map(String::as_str).chain([query]).collect();
            for engine in ENGINES {
                assert_eq!(&read(engine, &lake, &query), then, "{engine}: {query:?}");
            }
        }
    }

    #[test]
    #[ignore = "needs the Python of scripts/install-lake-readers"]
    fn engines_find_no_personal_data_that_is_left_out() {
        let sandbox = Sandbox::loaded();
        sandbox.publish(&["--without", "personal"]).succeeds();
        for (table, key) in [("dim_customer", "customer_id"), ("dim_staff", "staff_id")] {
            let query = format!("SELECT first_name, last_name FROM {table}");
            let pseudonyms = format!(
                "SELECT CONCAT('first_name ', {key}, '|last_name ', {key}) FROM {}",
                &table[4..]
            );
            for engine in ENGINES {
                assert_eq!(
                    read(engine, &sandbox.lake(), &[&query]),
                    sandbox.source(&pseudonyms),
                    "{engine}"
                );
            }
        }
    }

    #[test]
    #[ignore = "needs the Python of scripts/install-lake-readers"]
    fn engines_read_a_table_by_its_checkpoint_after_many_publications_and_a_vacuum() {
        let sandbox = Sandbox::loaded();
        for _ in 0..12 {
            sandbox.tamper("UPDATE fact_payment SET amount = ROUND(amount + 0.01, 2) WHERE payment_id = 1");
            sandbox.tamper(
                "UPDATE sync_partition SET last_run = (SELECT MAX(last_run) + 1 FROM sync_partition) \
                 WHERE target_table = 'fact_payment'",
            );
            sandbox.publish(&[]).succeeds();
        }
        let log = sandbox.lake().join("fact_payment/_delta_log");
        for version in 0..10 {
            fs::remove_file(log.join(format!("{version:020}.json"))).unwrap();
        }
        sandbox.publish(&["--vacuum", "--retain", "0"]).succeeds();
        for engine in ENGINES {
            assert_eq!(
                read(engine, &sandbox.lake(), &[TOTAL]),
                sandbox.star(TOTAL_BY_STAR),
                "{engine}"
            );
        }
    }

    #[test]
    #[ignore = "needs the Python of scripts/install-lake-readers"]
    fn a_reader_beside_publications_and_vacuums_reads_a_total_that_was_published() {
        const PUBLICATIONS: usize = 10;
        let sandbox = Sandbox::loaded();
        let mut published = Vec::new();
        sandbox.publish(&[]).succeeds();
        published.push(sandbox.star(TOTAL_BY_STAR).remove(0));
        let lake = sandbox.lake();
        let month = format!("fact_payment/month={}", sandbox.month_of_payment(1));
        let replaced = files_below(&lake.join(month)).remove(0);
        let is_over = AtomicBool::new(false);
        let seen: Vec<String> = thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut seen = Vec::new();
                while seen.is_empty() || !is_over.load(Ordering::Relaxed) {
                    seen.extend(read("duckdb", &lake, &[TOTAL]));
                }
                seen
            });
            // Until a vacuum has deleted files beside the reader, which needs those of one version for a moment.
            while published.len() <= PUBLICATIONS || replaced.exists() {
                sandbox.change_and_sync(
                    "UPDATE payment SET amount = amount + 0.01, last_update = NOW() WHERE payment_id = 1",
                );
                sandbox.publish(&["--vacuum", "--retain", "5s"]).succeeds();
                assert!(published.len() < 100 * PUBLICATIONS, "no vacuum has deleted the file");
                published.push(sandbox.star(TOTAL_BY_STAR).remove(0));
            }
            is_over.store(true, Ordering::Relaxed);
            reader.join().unwrap()
        });
        let places: Vec<Option<usize>> = seen
            .iter()
            .map(|total| published.iter().position(|one| one == total))
            .collect();
        assert!(places.iter().all(Option::is_some), "{seen:?} of {published:?}");
        assert!(places.is_sorted(), "{seen:?} of {published:?}");
    }

    /// A server that speaks as S3 does, with its buckets in a folder.
    struct Bucket {
        _server: Process,
        port: u16,
    }

    impl Bucket {
        fn serve(folder: &Path) -> Self {
            fs::create_dir_all(folder.join("bucket")).unwrap();
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut command = Command::new(python());
            command
                .args(["-m", "localbucket", "--port", &port.to_string()])
                .arg(folder);
            let server = Process(command.stderr(std::process::Stdio::null()).spawn().unwrap());
            wait_until("the server listens", || {
                std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
            });
            Self { _server: server, port }
        }

        fn configure(&self, command: &mut Command) {
            command
                .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", self.port))
                .env("AWS_ACCESS_KEY_ID", "key")
                .env("AWS_SECRET_ACCESS_KEY", "not-a-secret")
                .env("AWS_REGION", "us-east-1")
                .env("AWS_ALLOW_HTTP", "true")
                .env("NO_PROXY", "127.0.0.1");
        }
    }

    #[test]
    #[ignore = "needs the Python of scripts/install-lake-readers"]
    fn a_star_is_published_to_s3_and_read_from_there() {
        let sandbox = Sandbox::loaded();
        let bucket = Bucket::serve(&sandbox.folder().join("s3"));
        let publish = |url: &str, more: &[&str]| {
            let mut command = sandbox.command(&[&["publish", "--lake", url], more].concat());
            bucket.configure(&mut command);
            Run::of(command)
        };
        publish("s3://absent/lake", &[]).fails_with(3, "LAKE_MISSING");
        let url = "s3://bucket/star/lake";
        publish(url, &[]).succeeds();
        sandbox.change_and_sync("UPDATE payment SET amount = amount + 0.01, last_update = NOW() WHERE payment_id = 1");
        publish(url, &["--vacuum"]).succeeds();
        publish(url, &["--check"]).succeeds();
        let lake = sandbox.folder().join("s3/bucket/star/lake");
        assert_eq!(
            newest_entry(&lake.join("fact_payment"))
                .iter()
                .filter(|line| line.get("add").is_some())
                .count(),
            1
        );
        let total = sandbox.star(TOTAL_BY_STAR);
        assert_eq!(read("duckdb", &lake, &[TOTAL]), total);
        let mut sail = reader("sail", url, &[TOTAL]);
        bucket.configure(sail.env("TABLES", "fact_payment"));
        assert_eq!(Run::of(sail).succeeds().stdout.trim(), total[0]);
    }

    #[test]
    #[ignore = "needs the Python of scripts/install-lake-readers"]
    fn a_publication_to_s3_that_is_killed_anywhere_is_completed_by_the_next_one() {
        let sandbox = Sandbox::loaded();
        let bucket = Bucket::serve(&sandbox.folder().join("s3"));
        let publish = |failpoint: &str, more: &[&str]| {
            let mut command = sandbox.command(&[&["publish", "--lake", "s3://bucket/lake"], more].concat());
            bucket.configure(command.env("FAILPOINTS", failpoint));
            Run::of(command)
        };
        for failpoint in [
            "before-lake-files=return",
            "lake-files-written=return",
            "lake-table-committed=return",
            "lake-tables-committed=return",
            "before-publication-noted=return",
        ] {
            sandbox
                .change_and_sync("UPDATE payment SET amount = amount + 0.01, last_update = NOW() WHERE payment_id = 1");
            let killed = publish(failpoint, &[]);
            assert_eq!(killed.code, KILLED, "{failpoint}: {killed:?}");
            publish("", &[]).succeeds();
            publish("", &["--check"]).succeeds();
        }
        let lake = sandbox.folder().join("s3/bucket/lake");
        assert_eq!(read("duckdb", &lake, &[TOTAL]), sandbox.star(TOTAL_BY_STAR));
    }

    /// Tests that mount a file system of limited size and fill it.
    mod needs_mount {
        use super::*;
        use crate::harness::others::SmallDisk;

        #[test]
        #[ignore = "needs to be allowed to mount a file system"]
        fn a_full_disk_leaves_the_lake_and_the_star_as_they_were() {
            let sandbox = Sandbox::loaded();
            let disk = SmallDisk::mount(sandbox.folder().join("disk"), "64m");
            let lake = disk.folder.join("lake");
            let publish = |more: &[&str]| {
                let command = [&["publish", "--lake", lake.to_str().unwrap()], more].concat();
                Run::of(disk.sees(&sandbox.command(&command)))
            };
            let total = || Run::of(disk.sees(&reader("duckdb", lake.to_str().unwrap(), &[TOTAL]))).succeeds();
            publish(&[]).succeeds();
            let before = total().stdout;
            sandbox.change_and_sync("UPDATE payment SET amount = amount + 0.01, last_update = NOW()");
            let filler = disk.folder.join("filler");
            disk.shell(&format!("cat /dev/zero > '{}' || true", filler.display()));
            publish(&[]).fails_with(3, "LAKE_FULL");
            assert_eq!(total().stdout, before);
            sandbox.assert_star_equals_source();
            disk.shell(&format!("rm '{}'", filler.display()));
            publish(&[]).succeeds();
            publish(&["--check"]).succeeds();
            assert_eq!(total().stdout.trim(), sandbox.star(TOTAL_BY_STAR)[0]);
        }
    }

    /// On the official sample database.
    mod needs_dump {
        use super::*;

        fn programs_of_the_document_print_what_it_shows(lake: &Path) {
            const DOCUMENT: &str = include_str!("../../../docs/lake.md");
            // The extension comes with its package, not from a server.
            const LOAD: &str = "import duckdb_extension_delta, pathlib\n\
                connection = duckdb.connect(config={'allow_unsigned_extensions': 'true'})\n\
                extensions = pathlib.Path(duckdb_extension_delta.__file__).parent\n\
                connection.execute(f\"LOAD '{next(extensions.rglob('*.duckdb_extension'))}'\")";
            let section = DOCUMENT.split("\n## Read the tables\n").nth(1).unwrap();
            let section = section.split("\n## ").next().unwrap();
            let programs: Vec<&str> = section.split("```python\n").skip(1).collect();
            assert_eq!(programs.len(), 5);
            for program in programs {
                let (code, rest) = program.split_once("```\n").unwrap();
                let (_, shown) = rest.split_once("```text\n").unwrap();
                let shown = shown.split_once("```").unwrap().0;
                let code = code
                    .replace("/srv/lake", lake.to_str().unwrap())
                    .replace("connection = duckdb.connect()", LOAD)
                    .replace("connection.execute(\"INSTALL delta; LOAD delta\")", "");
                let file = lake.parent().unwrap().join("program.py");
                fs::write(&file, &code).unwrap();
                let mut command = Command::new(python());
                command.current_dir(lake).arg(file);
                let printed = Run::of(command).succeeds().stdout;
                assert_eq!(printed.trim(), shown.trim(), "{code}");
            }
        }

        #[test]
        #[ignore = "needs the official dump, in the folder that SAKILA_DUMP_DIR names"]
        fn engines_read_the_published_figures_of_the_official_sakila() {
            let sandbox = Sandbox::official();
            sandbox.load();
            sandbox.publish(&[]).succeeds();
            let by_store = "SELECT s.store_id, SUM(p.amount) FROM fact_payment p \
                            JOIN dim_store s ON s.store_key = p.store_key GROUP BY s.store_id";
            programs_of_the_document_print_what_it_shows(&sandbox.lake());
            for engine in ENGINES {
                assert_eq!(read(engine, &sandbox.lake(), &[TOTAL]), ["67416.51"], "{engine}");
                assert_eq!(
                    read(engine, &sandbox.lake(), &[by_store]),
                    ["1|33686.76", "2|33729.75"],
                    "{engine}"
                );
            }
        }
    }
}
