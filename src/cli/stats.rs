//! `postroad stats`.

use std::io::{Write, stdout};

use anyhow::{Context as _, bail};
use serde_json::json;

use crate::db::operate::{self, TextTable};
use crate::db::pool::Database;

const VIEWS: [&str; 2] = ["queue_stats", "gateway_stats"];

/// Prints the views that say how it goes.
pub(super) async fn stats(url: &str, as_json: bool) -> anyhow::Result<()> {
    let database = Database::new(url, "postroad stats")?;
    let exists = operate::schema_exists(&database).await;
    if !exists.context("the database does not answer")? {
        bail!("the database has no schema postroad; run `postroad migrate`");
    }
    let mut out = stdout().lock();
    if as_json {
        let mut all = json!({});
        for view in VIEWS {
            all[view] = operate::view_json(&database, view).await?;
        }
        writeln!(out, "{all:#}")?;
        return Ok(());
    }
    for (index, view) in VIEWS.into_iter().enumerate() {
        let table = operate::view(&database, view).await?;
        let gap = if index == 0 { "" } else { "\n" };
        write!(out, "{gap}postroad.{view}\n{}", aligned(&table))?;
    }
    Ok(())
}

/// The table as text: numbers to the right, the rest to the left, two spaces between.
pub(super) fn aligned(table: &TextTable) -> String {
    let cell =
        |row: &[Option<String>], column: usize| row[column].clone().unwrap_or_else(|| "-".into());
    let columns: Vec<(usize, bool)> = table
        .columns
        .iter()
        .enumerate()
        .map(|(column, name)| {
            let widths = table
                .rows
                .iter()
                .map(|row| cell(row, column).chars().count());
            let width = widths.chain([name.chars().count()]).max().unwrap_or(0);
            let mut values = table.rows.iter().filter_map(|row| row[column].as_deref());
            (width, values.all(|value| value.parse::<f64>().is_ok()))
        })
        .collect();
    let line = |cells: &mut dyn Iterator<Item = String>| {
        let padded: Vec<_> = cells
            .zip(&columns)
            .map(|(text, &(width, number))| match number {
                true => format!("{text:>width$}"),
                false => format!("{text:<width$}"),
            })
            .collect();
        format!("{}\n", padded.join("  ").trim_end())
    };
    let mut text = line(&mut table.columns.iter().cloned());
    for row in &table.rows {
        text.push_str(&line(
            &mut (0..columns.len()).map(|column| cell(row, column)),
        ));
    }
    if table.rows.is_empty() {
        text.push_str("(no rows)\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Operators compare digits by their place.
    #[test]
    fn numbers_stand_right_and_text_left() {
        let row =
            |name: &str, value: Option<&str>| vec![Some(name.to_owned()), value.map(str::to_owned)];
        let table = TextTable {
            columns: vec!["gateway".into(), "sent".into()],
            rows: vec![
                row("smtp", Some("12345")),
                row("file", Some("7")),
                row("stub", None),
            ],
        };
        let expected = "gateway   sent\nsmtp     12345\nfile         7\nstub         -\n";
        assert_eq!(aligned(&table), expected);
    }
}
