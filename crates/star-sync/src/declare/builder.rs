//! The builder of [`Table`]: declares a target table by its entity, the record that is read of a source row, and the
//! mapping between them. Names, keys and references follow from the entities.

use sea_orm::sea_query::{Expr, SelectStatement};
use sea_orm::{ColumnTrait, DbBackend, EntityName, EntityTrait, IdenStatic, Iterable, RelationTrait, Schema};

use crate::declare::key_range::KeyRange;
use crate::declare::lookup::{KeysFrom, Lookup, LookupUse, Lookups, Side};
use crate::declare::rejection::Rejection;
use crate::declare::row::{Column, columns_of, mapped_by, notes_its_run, surrogate_key_of};
use crate::declare::source_record::{SelectedColumn, SourceRecord, joined_of, position_of};
use crate::declare::source_table::Family;
use crate::declare::table::{
    Affected, AffectedBy, FilledLookup, Follows, Kind, Reference, Table, TargetPageKey, WHOLE_TABLE, When,
};
use crate::declare::totals::Totals;

impl Table {
    /// A dimension. Its entity has a surrogate key as primary key, which SQLite assigns, and the natural key as a
    /// unique column. `map` makes the target row from a source row, or returns the [`Rejection`] with which the row is
    /// quarantined.
    ///
    /// Mistakes in the declaration do not panic: [`Star::mistakes`](crate::declare::Star::mistakes) lists them.
    pub fn dimension<E: EntityTrait, R: SourceRecord>(
        map: fn(R, &Lookups) -> Result<E::ActiveModel, Rejection>,
    ) -> Self {
        Self::new::<E, R>(Kind::Dimension, map)
    }

    /// A fact. Its entity has a surrogate key and a natural key, like that of a dimension; each column that refers to a
    /// dimension gets an index. `map` is as for [`Table::dimension`].
    pub fn fact<E: EntityTrait, R: SourceRecord>(map: fn(R, &Lookups) -> Result<E::ActiveModel, Rejection>) -> Self {
        Self::new::<E, R>(Kind::Fact, map)
    }

    /// A bridge, which links dimensions. The primary key of its entity consists of their surrogate keys. The first
    /// column of the record is the key of the dimension by which the bridge is paged, and has to be declared with
    /// [`Table::looks_up`]. `map` is as for [`Table::dimension`].
    pub fn bridge<E: EntityTrait, R: SourceRecord>(map: fn(R, &Lookups) -> Result<E::ActiveModel, Rejection>) -> Self {
        Self::new::<E, R>(Kind::Bridge, map)
    }

    fn new<E: EntityTrait, R: SourceRecord>(
        kind: Kind,
        map: fn(R, &Lookups) -> Result<E::ActiveModel, Rejection>,
    ) -> Self {
        let name = E::default().table_name();
        let source_table = R::Entity::default().table_name();
        let selected = R::columns();
        let natural_key = natural_key_of::<E>(kind);
        let primary_key: Vec<&str> = <R::Entity as EntityTrait>::PrimaryKey::iter()
            .map(|key| key.as_str())
            .collect();
        let page_key = selected.first().filter(|column| column.family == Family::Integer);
        let page_key = page_key.map(|column| column.name);
        let mut mistakes = Vec::new();
        let references = references_of::<E>(&mut mistakes);
        let foremost = selected.iter().take(primary_key.len());
        let is_key = |column: &SelectedColumn| column.table == source_table && primary_key.contains(&column.name);
        if foremost.filter(|column| is_key(column)).count() != primary_key.len() {
            mistakes.push(format!("the primary key of {source_table} has to be read first"));
        }
        Self {
            name,
            kind,
            source_table,
            page_key,
            select: R::select,
            only: None,
            joins: R::joins(),
            primary_key_columns: primary_key.len(),
            map: mapped_by::<E>(move |row, lookups| map(R::read(row)?, lookups)),
            columns: columns_of::<E>(),
            surrogate_key: surrogate_key_of::<E>(),
            notes_run: notes_its_run::<E>(),
            target_page_key: match (page_key, natural_key.first()) {
                (Some(_), Some(natural_key)) => TargetPageKey::Own(natural_key),
                _ => TargetPageKey::Whole,
            },
            source_key: match kind {
                Kind::Bridge => vec![],
                Kind::Dimension | Kind::Fact => selected.iter().take(natural_key.len()).cloned().collect(),
            },
            lookups: vec![],
            filled_lookups: vec![],
            joined: joined_of::<R>(),
            affected_by: vec![],
            follows: vec![],
            date_columns: vec![],
            indexes: match kind {
                Kind::Dimension => vec![],
                Kind::Bridge => natural_key.iter().skip(1).copied().collect(),
                Kind::Fact => references.iter().map(|reference| reference.column).collect(),
            },
            references,
            natural_key,
            totals: None,
            personal: vec![],
            decimals: vec![],
            selected,
            mistakes,
        }
    }

    /// Declares the natural key: up to three columns of the target, with a unique index over them, each paired with the
    /// source column that it is made from. The page key has to be among these source columns. Without this declaration,
    /// the natural key is the entity's one unique column, made from the first column of the record.
    #[must_use]
    pub fn keyed_by<T: ColumnTrait, S: ColumnTrait>(mut self, columns: impl IntoIterator<Item = (T, S)>) -> Self {
        let (target, source): (Vec<_>, Vec<_>) = columns
            .into_iter()
            .map(|(target, source)| (target.as_str(), SelectedColumn::new(source)))
            .unzip();
        if let Some(page_key) = self.page_key
            && let Some(position) = source.iter().position(|column| column.name == page_key)
        {
            self.target_page_key = TargetPageKey::Own(target[position]);
        }
        self.natural_key = target;
        self.source_key = source;
        self
    }

    /// Restricts the table to the source rows that meet a condition on columns of the source table, so that several
    /// target tables can be made of one source table. A row that no longer meets it is deleted from the target.
    #[must_use]
    pub fn only(mut self, condition: fn() -> Expr) -> Self {
        self.only = Some(condition);
        self
    }

    /// Declares a lookup that the mapping uses; `column` of the record holds its keys. A mapping that uses an
    /// undeclared lookup panics (see [`Lookups::get`]). A changed row of a source table affects the rows that look it
    /// up, unless [`Table::affected_by`] or [`Table::unaffected_by`] declares otherwise.
    #[must_use]
    pub fn looks_up(mut self, lookup: &'static Lookup, column: impl ColumnTrait + Send + Sync + 'static) -> Self {
        let position = self.position_in_record(column);
        if lookup.side == Side::Source {
            self.affect_by(lookup, column);
        }
        if self.kind == Kind::Bridge && position == 0 {
            self.page_by(lookup);
        }
        self.lookups.push(LookupUse {
            lookup,
            keys: KeysFrom::Column(position),
        });
        self
    }

    /// Declares a lookup whose keys are the values of another lookup, `through`, which is declared before it. If it is
    /// a lookup in the source, [`Table::affected_by`] has to declare which rows a changed row of that table
    /// affects.
    #[must_use]
    pub fn looks_up_through(mut self, through: &'static Lookup, lookup: &'static Lookup) -> Self {
        self.lookups.push(LookupUse {
            lookup,
            keys: KeysFrom::Values(through),
        });
        self
    }

    /// Declares which rows a changed row of the looked-up table `source` affects: `affected` takes the changed keys of
    /// `source` and selects the page keys of the affected rows.
    #[must_use]
    pub fn affected_by<S: EntityTrait>(
        self,
        source: S,
        affected: impl Fn(&[i64]) -> SelectStatement + Send + Sync + 'static,
    ) -> Self {
        self.affected(source.table_name(), Some(Box::new(affected)))
    }

    /// Declares that changed rows of `source` affect no rows, because the mapping uses only the existence of a
    /// looked-up row and rejects rows without it ([`Lookups::find`](crate::declare::lookup::Lookups::find)).
    /// Quarantined rows whose looked-up row is inserted, and rows whose looked-up row is deleted, are found without a
    /// declaration.
    #[must_use]
    pub fn unaffected_by<S: EntityTrait>(self, source: S) -> Self {
        self.affected(source.table_name(), None)
    }

    /// Declares that changed rows of another fact affect rows of this one: `affected` takes the keys of that fact and
    /// selects the page keys of the affected rows.
    #[must_use]
    pub fn follows<F: EntityTrait>(mut self, fact: F, when: When, affected: fn(&[i64]) -> SelectStatement) -> Self {
        self.follows.push(Follows {
            fact: fact.table_name(),
            when,
            affected,
        });
        self
    }

    /// Declares that loading this table fills a lookup from its own columns. For a quarantined row, `rejected_as` takes
    /// the name of its missing parent, if that is the reason, and returns the value of the lookup; `None` makes the key
    /// missing.
    #[must_use]
    pub fn fills_lookup(mut self, lookup: &'static Lookup, rejected_as: fn(Option<&str>) -> Option<i64>) -> Self {
        self.filled_lookups.push(FilledLookup { lookup, rejected_as });
        self
    }

    /// Declares the totals by which source and target are reconciled.
    #[must_use]
    pub fn totals(mut self, totals: Totals) -> Self {
        self.totals = Some(totals);
        self
    }

    /// Marks columns with personal data. A copy of the star can leave them out: text is replaced by a pseudonym, any
    /// other value by NULL.
    #[must_use]
    pub fn personal<C: ColumnTrait>(mut self, columns: impl IntoIterator<Item = C>) -> Self {
        self.personal.extend(columns.into_iter().map(|column| column.as_str()));
        self
    }

    /// Marks REAL columns as amounts with `decimals` digits after the point, as
    /// [`fixed_point::real`](crate::declare::fixed_point::real) returns them. A published lake stores them as DECIMAL,
    /// so that sums are exact.
    #[must_use]
    pub fn fixed_point<C: ColumnTrait>(mut self, columns: impl IntoIterator<Item = C>, decimals: u32) -> Self {
        let decimals = u8::try_from(decimals).unwrap_or(u8::MAX);
        let columns = columns.into_iter().map(|column| (column.as_str(), decimals));
        self.decimals.extend(columns);
        self
    }

    /// Sets the page key of a bridge; the target has it in the dimension that the bridge is paged by.
    fn page_by(&mut self, lookup: &'static Lookup) {
        if self.page_key.is_none() {
            return;
        }
        let to_dimension = |reference: &&Reference| reference.parent == lookup.table;
        match self.references.iter().find(to_dimension) {
            Some(reference) => {
                self.target_page_key = TargetPageKey::Through {
                    dimension: lookup.table,
                    surrogate_key: reference.column,
                    page_key: lookup.key,
                }
            }
            None => self.mistakes.push(format!("it does not refer to {}", lookup.table)),
        }
    }

    fn affected(mut self, source_table: &'static str, affected: Option<Affected>) -> Self {
        self.affected_by
            .retain(|other| other.source_table != source_table || other.follows_from.is_none());
        self.affected_by.push(AffectedBy {
            source_table,
            affected,
            follows_from: None,
        });
        self
    }

    /// Declares that changed rows of a looked-up source table affect the rows with their keys in `column`, unless the
    /// affected rows are declared already.
    fn affect_by(&mut self, lookup: &'static Lookup, column: impl ColumnTrait + Send + Sync + 'static) {
        let name = column.as_str();
        let is_known = |other: &AffectedBy| other.follows_from.is_none_or(|(_, other)| other == name);
        let mut of_table = self
            .affected_by
            .iter()
            .filter(|other| other.source_table == lookup.table);
        if of_table.any(is_known) {
            return;
        }
        let (select, table, page_key) = (self.select, self.source_table, self.page_key);
        let affected = move |keys: &[i64]| {
            let page_key = page_key.map_or_else(|| Expr::val(WHOLE_TABLE), |page_key| Expr::col((table, page_key)));
            let mut select = select();
            select.clear_selects().expr(page_key);
            select.cond_where(KeyRange::is_one_of(&Expr::col(column.as_column_ref()), keys));
            select
        };
        self.affected_by.push(AffectedBy {
            source_table: lookup.table,
            affected: Some(Box::new(affected)),
            follows_from: Some((lookup, name)),
        });
    }

    fn position_in_record(&mut self, column: impl ColumnTrait) -> usize {
        position_of(&self.selected, column).unwrap_or_else(|column| {
            self.mistakes
                .push(format!("it looks up {column}, which it does not read"));
            0
        })
    }
}

/// The unique column of a dimension or fact; the primary key of a bridge.
fn natural_key_of<E: EntityTrait>(kind: Kind) -> Vec<&'static str> {
    if kind == Kind::Bridge {
        return E::PrimaryKey::iter().map(|key| key.as_str()).collect();
    }
    let table = Schema::new(DbBackend::Sqlite).create_table_from_entity(E::default());
    let is_unique = |name: &str| {
        let mut columns = table.get_columns().iter();
        columns.any(|column| column.get_column_name() == name && column.get_column_spec().unique)
    };
    let names = E::Column::iter().map(|column| column.as_str());
    names.filter(|name| is_unique(name)).collect()
}

/// The foreign keys that an entity's relations declare, each of one column.
fn references_of<E: EntityTrait>(mistakes: &mut Vec<String>) -> Vec<Reference> {
    let columns: Vec<Column> = columns_of::<E>();
    let column_of = |identity: sea_orm::Identity| {
        let name = identity.into_iter().next().map(|name| name.to_string())?;
        columns.iter().map(|column| column.name).find(|column| *column == name)
    };
    let relations = E::Relation::iter().map(|relation| relation.def());
    relations
        .filter_map(|relation| {
            if relation.from_col.arity() > 1 {
                let parent = relation.to_tbl.sea_orm_table().to_string();
                mistakes.push(format!("it refers to {parent} by more than one column"));
                return None;
            }
            Some(Reference {
                column: column_of(relation.from_col)?,
                parent: relation.to_tbl.sea_orm_table().to_string(),
                parent_column: relation.to_col.into_iter().next()?.to_string(),
            })
        })
        .collect()
}
