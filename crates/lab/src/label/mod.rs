//! Annotation campaigns at work: where their logs are kept ([`ledger`], [`in_lab`]), annotations in and out ([`annotations`]), campaigns with an
//! oracle that knows the truth ([`oracle`]), compared ([`compare`]) and drawn ([`curves`]).

pub(crate) mod annotations;
pub(crate) mod compare;
pub(crate) mod curves;
pub(crate) mod in_lab;
pub(crate) mod ledger;
pub(crate) mod oracle;
