//! The expected contents of the star, as plain SQL joins on the source, and the same rows as the star holds them.
//!
//! A row is in the star if all rows that it refers to are in the star too.

/// One table of the star: one line per row, with identical text from both sides.
pub struct Expected {
    pub name: &'static str,
    pub source: &'static str,
    pub star: &'static str,
}

/// The keys of the films whose parents all exist.
macro_rules! films {
    () => {
        "(SELECT film_id FROM film JOIN language USING (language_id))"
    };
}

macro_rules! stores {
    () => {
        "(SELECT store_id FROM store JOIN address USING (address_id) JOIN city USING (city_id) \
         JOIN country USING (country_id))"
    };
}

macro_rules! customers {
    () => {
        "(SELECT customer_id FROM customer JOIN address USING (address_id) JOIN city USING (city_id) \
         JOIN country USING (country_id))"
    };
}

macro_rules! rentals {
    () => {
        concat!(
            "(SELECT r.rental_id FROM rental r JOIN inventory i ON i.inventory_id = r.inventory_id \
             JOIN staff t ON t.staff_id = r.staff_id WHERE i.film_id IN ",
            films!(),
            " AND i.store_id IN ",
            stores!(),
            " AND r.customer_id IN ",
            customers!(),
            ")"
        )
    };
}

/// A payment whose rental lacks its inventory item counts at its staff member's store. A payment whose rental is
/// missing from the star for another reason is missing too.
macro_rules! payments {
    () => {
        concat!(
            "payment p JOIN staff t ON t.staff_id = p.staff_id LEFT JOIN rental r ON r.rental_id = p.rental_id \
             LEFT JOIN inventory i ON i.inventory_id = r.inventory_id WHERE p.customer_id IN ",
            customers!(),
            " AND COALESCE(i.store_id, t.store_id) IN ",
            stores!(),
            " AND (i.inventory_id IS NULL OR r.rental_id IN ",
            rentals!(),
            ")"
        )
    };
}

pub const TABLES: [Expected; 11] = [
    Expected {
        name: "dim_film",
        source: "SELECT CONCAT_WS('|', f.film_id, f.title, COALESCE(f.rating, '-'), COALESCE(f.length, '-'), l.name, \
                 COALESCE(f.release_year, '-'), DATE_FORMAT(f.last_update, '%Y-%m-%d %H:%i:%s'), \
                 f.rental_duration, f.rental_rate, f.replacement_cost) FROM film f JOIN language l ON l.language_id = f.language_id",
        star: "SELECT film_id || '|' || title || '|' || COALESCE(rating, '-') || '|' || COALESCE(length, '-') || '|' \
               || language || '|' || COALESCE(release_year, '-') || '|' || last_update || '|' || allowed_days || '|' \
               || printf('%.2f', rental_rate) || '|' || printf('%.2f', replacement_cost) FROM dim_film",
    },
    Expected {
        name: "dim_actor",
        source: "SELECT CONCAT_WS('|', actor_id, first_name, last_name, \
                 DATE_FORMAT(last_update, '%Y-%m-%d %H:%i:%s')) FROM actor",
        star: "SELECT actor_id || '|' || first_name || '|' || last_name || '|' || last_update FROM dim_actor",
    },
    Expected {
        name: "dim_category",
        source: "SELECT CONCAT_WS('|', category_id, name, DATE_FORMAT(last_update, '%Y-%m-%d %H:%i:%s')) FROM category",
        star: "SELECT category_id || '|' || name || '|' || last_update FROM dim_category",
    },
    Expected {
        name: "dim_store",
        source: "SELECT CONCAT_WS('|', s.store_id, c.city, n.country, \
                 DATE_FORMAT(s.last_update, '%Y-%m-%d %H:%i:%s')) \
                 FROM store s JOIN address a ON a.address_id = s.address_id \
                 JOIN city c ON c.city_id = a.city_id JOIN country n ON n.country_id = c.country_id",
        star: "SELECT store_id || '|' || city || '|' || country || '|' || last_update FROM dim_store",
    },
    Expected {
        name: "dim_staff",
        source: "SELECT CONCAT_WS('|', staff_id, first_name, last_name, IF(active, 1, 0), store_id, \
                 DATE_FORMAT(last_update, '%Y-%m-%d %H:%i:%s')) FROM staff",
        star: "SELECT staff_id || '|' || first_name || '|' || last_name || '|' || active || '|' || store_id || '|' \
               || last_update FROM dim_staff",
    },
    Expected {
        name: "dim_customer",
        source: "SELECT CONCAT_WS('|', u.customer_id, u.first_name, u.last_name, IF(u.active, 1, 0), c.city, n.country, \
                 COALESCE(DATE_FORMAT(u.last_update, '%Y-%m-%d %H:%i:%s'), '-')) \
                 FROM customer u JOIN address a ON a.address_id = u.address_id \
                 JOIN city c ON c.city_id = a.city_id JOIN country n ON n.country_id = c.country_id",
        star: "SELECT customer_id || '|' || first_name || '|' || last_name || '|' || active || '|' || city || '|' \
               || country || '|' || COALESCE(last_update, '-') FROM dim_customer",
    },
    Expected {
        name: "bridge_film_actor",
        source: concat!(
            "SELECT CONCAT_WS('|', film_id, actor_id) FROM film_actor JOIN actor USING (actor_id) WHERE film_id IN ",
            films!()
        ),
        star: "SELECT f.film_id || '|' || a.actor_id FROM bridge_film_actor b \
               JOIN dim_film f ON f.film_key = b.film_key JOIN dim_actor a ON a.actor_key = b.actor_key",
    },
    Expected {
        name: "bridge_film_category",
        source: concat!(
            "SELECT CONCAT_WS('|', film_id, category_id) FROM film_category JOIN category USING (category_id) \
             WHERE film_id IN ",
            films!()
        ),
        star: "SELECT f.film_id || '|' || c.category_id FROM bridge_film_category b \
               JOIN dim_film f ON f.film_key = b.film_key JOIN dim_category c ON c.category_key = b.category_key",
    },
    Expected {
        name: "fact_rental",
        source: concat!(
            "SELECT CONCAT_WS('|', r.rental_id, DATE_FORMAT(r.rental_date, '%Y%m%d'), \
             COALESCE(DATE_FORMAT(r.return_date, '%Y%m%d'), '-'), i.film_id, i.store_id, r.customer_id, r.staff_id, \
             COALESCE(DATEDIFF(r.return_date, r.rental_date), '-')) \
             FROM rental r JOIN inventory i ON i.inventory_id = r.inventory_id WHERE r.rental_id IN ",
            rentals!()
        ),
        star: "SELECT r.rental_id || '|' || r.date_key_rented || '|' || COALESCE(r.date_key_returned, '-') || '|' \
               || f.film_id || '|' || s.store_id || '|' || u.customer_id || '|' || r.staff_id || '|' \
               || COALESCE(r.rental_duration_days, '-') FROM fact_rental r \
               JOIN dim_film f ON f.film_key = r.film_key JOIN dim_store s ON s.store_key = r.store_key \
               JOIN dim_customer u ON u.customer_key = r.customer_key",
    },
    Expected {
        name: "fact_payment",
        source: concat!(
            "SELECT CONCAT_WS('|', p.payment_id, DATE_FORMAT(p.payment_date, '%Y%m%d'), p.customer_id, \
             COALESCE(i.store_id, t.store_id), p.staff_id, p.amount, COALESCE(p.rental_id, '-'), \
             COALESCE(i.film_id, '-')) FROM ",
            payments!()
        ),
        star: "SELECT p.payment_id || '|' || p.date_key_paid || '|' || u.customer_id || '|' || s.store_id || '|' \
               || p.staff_id || '|' || printf('%.2f', p.amount) || '|' || COALESCE(p.rental_id, '-') || '|' \
               || COALESCE(f.film_id, '-') FROM fact_payment p \
               JOIN dim_customer u ON u.customer_key = p.customer_key JOIN dim_store s ON s.store_key = p.store_key \
               LEFT JOIN dim_film f ON f.film_key = p.film_key",
    },
    Expected {
        name: "dim_date",
        // Every date that a fact refers to; another test checks that there are no gaps.
        source: concat!(
            "SELECT DISTINCT DATE_FORMAT(day, '%Y%m%d|%Y-%m-%d|%M|%W') FROM (SELECT rental_date AS day FROM rental \
             WHERE rental_id IN ",
            rentals!(),
            " UNION SELECT return_date FROM rental WHERE rental_id IN ",
            rentals!(),
            " UNION SELECT payment_date FROM ",
            payments!(),
            ") days WHERE day IS NOT NULL"
        ),
        star: "SELECT date_key || '|' || date || '|' || month_name || '|' || day_name FROM dim_date WHERE date_key IN \
               (SELECT date_key_rented FROM fact_rental UNION SELECT date_key_returned FROM fact_rental \
               UNION SELECT date_key_paid FROM fact_payment)",
    },
];
