//! The views, compared row by row with plain SQL on the source.

use crate::harness::Sandbox;

/// A view, and the same rows from the source: one line per row, with identical text from both sides.
struct Expected {
    view: &'static str,
    source: &'static str,
    star: &'static str,
}

/// The store of a payment: that of the rented item, else the staff member's.
macro_rules! payments {
    () => {
        "payment p JOIN staff t ON t.staff_id = p.staff_id LEFT JOIN rental r ON r.rental_id = p.rental_id \
         LEFT JOIN inventory i ON i.inventory_id = r.inventory_id \
         JOIN store s ON s.store_id = COALESCE(i.store_id, t.store_id)"
    };
}

/// City and country of the store and the customer.
macro_rules! places {
    () => {
        "JOIN address sa ON sa.address_id = s.address_id JOIN city sc ON sc.city_id = sa.city_id \
         JOIN country sn ON sn.country_id = sc.country_id \
         JOIN address ca ON ca.address_id = c.address_id JOIN city cc ON cc.city_id = ca.city_id \
         JOIN country cn ON cn.country_id = cc.country_id"
    };
}

const VIEWS: [Expected; 7] = [
    Expected {
        view: "rentals",
        source: concat!(
            "SELECT CONCAT_WS('|', r.rental_id, DATE(r.rental_date), COALESCE(DATE(r.return_date), '-'), \
             COALESCE(DATEDIFF(r.return_date, r.rental_date), '-'), f.rental_duration, \
             f.film_id, f.title, COALESCE(f.rating, '-'), l.name, s.store_id, sc.city, sn.country, \
             c.customer_id, c.first_name, c.last_name, cc.city, cn.country, t.staff_id, t.first_name, t.last_name) \
             FROM rental r JOIN inventory i USING (inventory_id) JOIN film f USING (film_id) \
             JOIN language l ON l.language_id = f.language_id JOIN store s ON s.store_id = i.store_id \
             JOIN customer c ON c.customer_id = r.customer_id JOIN staff t ON t.staff_id = r.staff_id ",
            places!()
        ),
        star: "SELECT concat_ws('|', rental_id, rented, COALESCE(returned, '-'), COALESCE(duration_days, '-'), \
               allowed_days, film_id, title, COALESCE(rating, '-'), language, store_id, store_city, store_country, \
               customer_id, customer_first_name, customer_last_name, customer_city, customer_country, \
               staff_id, staff_first_name, staff_last_name) FROM rentals",
    },
    Expected {
        view: "payments",
        source: concat!(
            "SELECT CONCAT_WS('|', p.payment_id, DATE(p.payment_date), p.amount, CAST(p.amount * 100 AS SIGNED), \
             COALESCE(p.rental_id, '-'), COALESCE(f.film_id, '-'), COALESCE(f.title, '-'), COALESCE(f.rating, '-'), \
             COALESCE(l.name, '-'), s.store_id, sc.city, sn.country, c.customer_id, c.first_name, c.last_name, \
             cc.city, cn.country, t.staff_id, t.first_name, t.last_name) FROM ",
            payments!(),
            " LEFT JOIN film f ON f.film_id = i.film_id LEFT JOIN language l ON l.language_id = f.language_id \
             JOIN customer c ON c.customer_id = p.customer_id ",
            places!()
        ),
        star: "SELECT concat_ws('|', payment_id, paid, printf('%.2f', amount), amount_cents, \
               COALESCE(rental_id, '-'), COALESCE(film_id, '-'), COALESCE(title, '-'), COALESCE(rating, '-'), \
               COALESCE(language, '-'), store_id, store_city, store_country, customer_id, customer_first_name, \
               customer_last_name, customer_city, customer_country, staff_id, staff_first_name, staff_last_name) \
               FROM payments",
    },
    Expected {
        view: "revenue_by_store_and_month",
        source: concat!(
            "SELECT CONCAT_WS('|', store_id, city, country, year, month, COUNT(*), SUM(amount), \
             CAST(SUM(amount * 100) AS SIGNED)) FROM (SELECT s.store_id, sc.city, sn.country, \
             YEAR(p.payment_date) AS year, MONTH(p.payment_date) AS month, p.amount FROM ",
            payments!(),
            " JOIN address sa ON sa.address_id = s.address_id JOIN city sc ON sc.city_id = sa.city_id \
             JOIN country sn ON sn.country_id = sc.country_id) payments GROUP BY store_id, city, country, year, month"
        ),
        star: "SELECT concat_ws('|', store_id, city, country, year, month, payments, printf('%.2f', revenue), \
               revenue_cents) FROM revenue_by_store_and_month",
    },
    Expected {
        view: "revenue_by_film_category",
        source: "SELECT CONCAT_WS('|', COALESCE(c.name, '-'), COUNT(*), SUM(p.amount), \
                 CAST(SUM(p.amount * 100) AS SIGNED)) FROM payment p LEFT JOIN rental r ON r.rental_id = p.rental_id \
                 LEFT JOIN inventory i ON i.inventory_id = r.inventory_id \
                 LEFT JOIN film_category b ON b.film_id = i.film_id \
                 LEFT JOIN category c ON c.category_id = b.category_id GROUP BY c.name",
        star: "SELECT concat_ws('|', COALESCE(category, '-'), payments, printf('%.2f', revenue), revenue_cents) \
               FROM revenue_by_film_category",
    },
    Expected {
        view: "rentals_by_film_category",
        source: "SELECT CONCAT_WS('|', COALESCE(c.name, '-'), COUNT(*), SUM(r.return_date IS NULL), \
                 COALESCE(ROUND(AVG(DATEDIFF(r.return_date, r.rental_date)), 2), '-')) FROM rental r \
                 JOIN inventory i ON i.inventory_id = r.inventory_id \
                 LEFT JOIN film_category b ON b.film_id = i.film_id \
                 LEFT JOIN category c ON c.category_id = b.category_id GROUP BY c.name",
        star: "SELECT concat_ws('|', COALESCE(category, '-'), rentals, open_rentals, \
               COALESCE(printf('%.2f', average_duration_days), '-')) FROM rentals_by_film_category",
    },
    Expected {
        view: "rentals_by_day",
        source: "SELECT CONCAT_WS('|', rented, store_id, COUNT(*)) FROM (SELECT DATE(r.rental_date) AS rented, \
                 i.store_id FROM rental r JOIN inventory i USING (inventory_id)) rentals GROUP BY rented, store_id",
        star: "SELECT concat_ws('|', date, store_id, rentals) FROM rentals_by_day",
    },
    Expected {
        view: "open_rentals",
        source: "SELECT CONCAT_WS('|', r.rental_id, DATE(r.rental_date), f.title, i.store_id, c.customer_id, \
                 c.first_name, c.last_name) FROM rental r JOIN inventory i USING (inventory_id) \
                 JOIN film f USING (film_id) JOIN customer c ON c.customer_id = r.customer_id \
                 WHERE r.return_date IS NULL",
        star: "SELECT concat_ws('|', rental_id, rented, title, store_id, customer_id, first_name, last_name) \
               FROM open_rentals",
    },
];

fn assert_views_equal_source(sandbox: &Sandbox) {
    for Expected { view, source, star } in VIEWS {
        assert_same(view, &sandbox.star(star), &sandbox.source(source));
    }
    assert_late_returns_equal_source(sandbox);
    assert_eq!(
        sandbox.star("SELECT concat_ws('|', source_table, watermark, last_synced) FROM freshness"),
        sandbox.star("SELECT concat_ws('|', source_table, last_updated, last_synced) FROM sync_state"),
    );
}

/// Late rentals: those returned late, and those overdue on the source's day of the last sync.
fn assert_late_returns_equal_source(sandbox: &Sandbox) {
    let today = sandbox.figure("SELECT date(last_synced) FROM freshness WHERE source_table = 'rental'");
    // Midnight may have passed since the sync.
    let days = sandbox.source_figure("SELECT CONCAT(UTC_DATE(), ' ', UTC_DATE() - INTERVAL 1 DAY)");
    assert!(days.contains(&today), "{today} is not a day of {days}");
    let source = format!(
        "SELECT CONCAT_WS('|', rental_id, rented, rented + INTERVAL allowed DAY, COALESCE(returned, '-'), \
         DATEDIFF(COALESCE(returned, '{today}'), rented) - allowed, title, store_id, customer_id, first_name, last_name) \
         FROM (SELECT r.rental_id, DATE(r.rental_date) AS rented, f.rental_duration AS allowed, \
               DATE(r.return_date) AS returned, f.title, i.store_id, c.customer_id, c.first_name, c.last_name \
               FROM rental r JOIN inventory i USING (inventory_id) JOIN film f USING (film_id) \
               JOIN customer c ON c.customer_id = r.customer_id) rentals \
         WHERE DATEDIFF(COALESCE(returned, '{today}'), rented) > allowed"
    );
    let star = "SELECT concat_ws('|', rental_id, rented, due, COALESCE(returned, '-'), days_late, title, store_id, \
                customer_id, first_name, last_name) FROM late_returns";
    assert_same("late_returns", &sandbox.star(star), &sandbox.source(&source));
}

fn assert_same(view: &str, star: &[String], source: &[String]) {
    let missing: Vec<_> = source.iter().filter(|row| star.binary_search(row).is_err()).collect();
    let extra: Vec<_> = star.iter().filter(|row| source.binary_search(row).is_err()).collect();
    assert!(
        missing.is_empty() && extra.is_empty(),
        "{view}: missing {missing:?}, extra {extra:?}"
    );
    assert_eq!(star.len(), source.len(), "{view} holds rows twice");
    assert!(!star.is_empty(), "{view} is empty");
}

#[test]
fn each_view_holds_what_the_source_holds() {
    let sandbox = Sandbox::loaded();
    assert_views_equal_source(&sandbox);
    sandbox.change(&[
        // A film in two categories, one in none, a payment without a rental, returns that are a day late and on time.
        "INSERT INTO film_category (film_id, category_id) SELECT film_id, 1 + category_id % 16 FROM film_category \
         WHERE film_id = 1",
        "DELETE FROM film_category WHERE film_id = 2",
        "INSERT INTO payment (customer_id, staff_id, amount, payment_date) VALUES (1, 2, 0.1, '2025-12-31 23:59:59')",
        "UPDATE rental r JOIN inventory i USING (inventory_id) JOIN film f USING (film_id) \
         SET r.return_date = r.rental_date + INTERVAL f.rental_duration DAY WHERE r.rental_id = 1",
        "UPDATE rental r JOIN inventory i USING (inventory_id) JOIN film f USING (film_id) \
         SET r.return_date = r.rental_date + INTERVAL f.rental_duration + 1 DAY WHERE r.rental_id = 2",
        "UPDATE rental SET return_date = NULL WHERE rental_id BETWEEN 3 AND 9",
        "UPDATE rental SET return_date = NULL, rental_date = NOW() WHERE rental_id = 10",
    ]);
    sandbox.run(&["incremental"]).succeeds();
    assert_views_equal_source(&sandbox);
    let late = |rental: u32| {
        sandbox.star(&format!(
            "SELECT days_late FROM late_returns WHERE rental_id = {rental}"
        ))
    };
    assert_eq!([late(1), late(2)], [vec![], vec!["1".to_owned()]]);
    let in_two = "SELECT (SELECT SUM(payments) FROM revenue_by_film_category) > (SELECT COUNT(*) FROM fact_payment)";
    assert_eq!(sandbox.figure(in_two), "1");
}

#[test]
fn facts_of_a_staff_member_who_cannot_be_loaded_are_in_the_views_without_a_name() {
    let sandbox = Sandbox::new();
    // A date that does not exist, as older servers accepted it.
    sandbox.change(&[
        "SET sql_mode = ''",
        "UPDATE staff SET last_update = 0 WHERE staff_id = 2",
    ]);
    sandbox.load();
    assert_eq!(sandbox.figure("SELECT COUNT(*) FROM dim_staff WHERE staff_id = 2"), "0");
    for (view, table) in [("rentals", "rental"), ("payments", "payment")] {
        assert_eq!(
            sandbox.star(&format!(
                "SELECT COUNT(*) || ' ' || SUM(staff_id = 2 AND staff_last_name IS NULL AND staff_first_name IS NULL) FROM {view}"
            )),
            sandbox.source(&format!("SELECT CONCAT(COUNT(*), ' ', SUM(staff_id = 2)) FROM {table}")),
            "{view}"
        );
    }
    sandbox.change(&["UPDATE staff SET last_update = NOW() WHERE staff_id = 2"]);
    sandbox.run(&["incremental"]).succeeds();
    assert_views_equal_source(&sandbox);
}

#[test]
fn what_is_still_out_is_late_by_the_date_of_the_last_sync() {
    let sandbox = Sandbox::loaded();
    sandbox.change(&["UPDATE rental SET return_date = NULL WHERE rental_id = 1"]);
    sandbox.run(&["incremental"]).succeeds();
    let [rented, allowed_days] = ["rented", "allowed_days"]
        .map(|column| sandbox.figure(&format!("SELECT {column} FROM rentals WHERE rental_id = 1")));
    for (days, late) in [(0, vec![]), (1, vec!["1".to_owned()])] {
        let synced = format!("datetime('{rented}', '+{allowed_days} days', '+{days} days', '+23 hours')");
        sandbox.tamper(&format!("UPDATE sync_state SET last_synced = {synced}"));
        let found = sandbox.star("SELECT days_late FROM late_returns WHERE rental_id = 1");
        assert_eq!(found, late, "{days} days after it was due");
    }
}

mod needs_dump {
    use crate::harness::Sandbox;

    #[test]
    #[ignore = "needs the official dump, in the folder that SAKILA_DUMP_DIR names"]
    fn each_view_of_the_official_sakila_holds_what_the_source_holds() {
        let sandbox = Sandbox::official();
        sandbox.load();
        super::assert_views_equal_source(&sandbox);
        // Sakila's own views: payments with a rented item, by category; and overdue rentals, as its documentation finds
        // them.
        let revenue = sandbox.source("SELECT CONCAT(category, ' ', total_sales) FROM sales_by_film_category");
        let view = "SELECT category || ' ' || printf('%.2f', revenue) FROM revenue_by_film_category \
                    WHERE category IS NOT NULL";
        assert_eq!(sandbox.star(view), revenue);
        let overdue = "SELECT COUNT(*) FROM rental JOIN inventory USING (inventory_id) JOIN film USING (film_id) \
                       WHERE return_date IS NULL AND rental_date + INTERVAL film.rental_duration DAY < CURRENT_DATE()";
        let view = "SELECT COUNT(*) FROM late_returns WHERE returned IS NULL";
        assert_eq!(sandbox.figure(view), sandbox.source_figure(overdue));
    }
}
