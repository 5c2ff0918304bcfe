//! Runs the tasks: captures to tables, tables to models, models to ranked verdicts.
