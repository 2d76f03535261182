//! The live page: who may look, what it shows, and how it does in a real browser.

mod access;
mod browser;
mod figures;
mod observability;
