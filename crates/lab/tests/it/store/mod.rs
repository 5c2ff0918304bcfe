//! The store from outside: one suite on each of the three databases, and what is particular to one of them.

mod annotations;
mod basics;
mod damage;
mod families;
mod migrations;
mod processes;
mod records;
pub(crate) mod servers;

use cormorant_lab::store::{Engine, Stamp};

use servers::TestDatabase;

/// Every case of the suite on one database.
macro_rules! on {
    ($engine:expr, $($file:ident :: $case:ident),* $(,)?) => {
        use super::*;
        $(#[test] fn $case() { run($engine, $file::$case); })*
    };
}

/// The suite.
macro_rules! cases {
    ($engine:expr) => {
        on!(
            $engine,
            basics::a_store_is_there_again_after_closing,
            basics::names_are_compared_by_bytes,
            basics::a_failed_change_changes_nothing,
            basics::lost_connections_are_made_again,
            records::versions_are_known_by_their_tables,
            records::a_run_keeps_what_it_needs_and_what_came_out,
            records::a_campaign_moves_forward_only,
            records::one_version_hunts_and_a_rollback_brings_the_last_one_back,
            records::tokens_open_as_much_as_their_user_may,
            annotations::an_annotation_sent_again_is_written_once,
            annotations::removals_and_retractions_are_events,
            annotations::a_campaign_has_a_log_of_its_own,
            annotations::many_annotations_go_in_at_once_and_come_out_in_pages,
            annotations::annotators_do_not_lose_each_others_words,
            families::the_editor_changes_what_it_should,
            families::what_was_annotated_since_is_not_lost,
            families::undoing_everything_brings_back_the_start,
            migrations::a_failed_migration_leaves_the_old_version_in_use,
            migrations::many_may_open_a_new_store_at_once,
            migrations::the_stores_of_every_version_open,
        );
    };
}

mod sqlite {
    cases!(Engine::Sqlite);
}

mod postgres {
    cases!(Engine::Postgres);
}

mod mariadb {
    cases!(Engine::MySql);
}

/// Runs one case on a fresh database, if its server is installed.
fn run(engine: Engine, case: impl Fn(&TestDatabase)) {
    if let Some(database) = TestDatabase::new(engine) {
        case(&database);
    }
}

/// Ann, at `at_ns`.
fn ann(at_ns: i64) -> Stamp {
    Stamp::new("ann", at_ns)
}
