//! The official Sakila, where its dump is present: checks the published figures.

mod needs_dump {
    use crate::harness::Sandbox;

    #[test]
    #[ignore = "needs the official dump, in the folder that SAKILA_DUMP_DIR names"]
    fn a_full_load_gives_the_published_figures() {
        let sandbox = Sandbox::official();
        sandbox.load();

        sandbox.assert_star_equals_source();
        let figure = |sql| sandbox.figure(sql);
        assert_eq!(
            figure("SELECT MIN(date) || ' ' || MAX(date) FROM dim_date"),
            "2005-01-01 2006-12-31"
        );
        assert_eq!(
            figure("SELECT COUNT(*) || ' ' || SUM(date_key_returned IS NULL) FROM fact_rental"),
            "16044 183"
        );
        assert_eq!(figure("SELECT SUM(rental_duration_days) FROM fact_rental"), "79705");
        assert_eq!(
            figure("SELECT COUNT(*) || ' ' || SUM(amount = 0) FROM fact_payment"),
            "16049 24"
        );
        let by_store = "SELECT store_id || ': ' || payments || ' = ' || printf('%.2f', revenue) FROM \
                        (SELECT store_id, SUM(payments) AS payments, SUM(revenue) AS revenue \
                         FROM revenue_by_store_and_month GROUP BY store_id)";
        assert_eq!(sandbox.star(by_store), ["1: 7926 = 33686.76", "2: 8123 = 33729.75"]);
    }

    #[test]
    #[ignore = "needs the official dump, in the folder that SAKILA_DUMP_DIR names"]
    fn an_incremental_run_follows_changes_cascades_and_deletions() {
        let sandbox = Sandbox::official();
        sandbox.load();
        sandbox.change(&[
            "UPDATE city SET city = 'Lethbridge on the Oldman' WHERE city_id = 300",
            "UPDATE inventory SET store_id = 3 - store_id WHERE inventory_id <= 50",
            // Sets rental_id of the rental's payments to NULL and leaves the payments' last_update unchanged.
            "DELETE FROM rental WHERE rental_id IN (1, 2, 16049)",
            "UPDATE rental SET return_date = '2006-03-01 10:00:00' WHERE rental_id = 11496",
        ]);
        sandbox.run(&["incremental"]).succeeds();
        sandbox.assert_star_equals_source();
        assert_eq!(
            sandbox.figure("SELECT city FROM dim_store WHERE store_id = 1"),
            "Lethbridge on the Oldman"
        );
        // Rented on 2006-02-14.
        assert_eq!(
            sandbox.figure("SELECT rental_duration_days FROM fact_rental WHERE rental_id = 11496"),
            "15"
        );
    }

    #[test]
    #[ignore = "needs the official dump, in the folder that SAKILA_DUMP_DIR names"]
    fn the_figures_of_the_official_sakila_stand_side_by_side() {
        let sandbox = Sandbox::official();
        sandbox.load();
        let result = sandbox.json(&["validate", "--all"]);
        let totals: Vec<String> = result["totals"]
            .as_array()
            .unwrap()
            .iter()
            .map(|total| {
                assert_eq!(total["source"], total["target"]);
                format!(
                    "{} {} {}: {}",
                    total["table"], total["measure"], total["group"], total["source"]
                )
                .replace('"', "")
            })
            .collect();
        assert_eq!(
            totals,
            [
                "fact_rental rows 1: 7923",
                "fact_rental rows 2: 8121",
                "fact_payment rows 1: 7926",
                "fact_payment rows 2: 8123",
                "fact_payment cents 1: 3368676",
                "fact_payment cents 2: 3372975",
            ]
        );
    }
}
