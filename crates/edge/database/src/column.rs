//! Columns to and from our own types.

use std::fmt::Display;
use std::str::FromStr;

use serde::de::DeserializeOwned;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use varde_units::Utc;

fn damaged(column: &str, error: impl Display) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.to_owned(), source: error.to_string().into() }
}

/// A value whose text form is stored.
pub fn text<T: FromStr<Err: Display>>(row: &SqliteRow, column: &str) -> Result<T, sqlx::Error> {
    row.try_get::<String, _>(column)?.parse().map_err(|error| damaged(column, error))
}

pub fn text_maybe<T: FromStr<Err: Display>>(row: &SqliteRow, column: &str) -> Result<Option<T>, sqlx::Error> {
    let value: Option<String> = row.try_get(column)?;
    value.map(|value| value.parse().map_err(|error| damaged(column, error))).transpose()
}

/// A value whose JSON form is stored.
pub fn json<T: DeserializeOwned>(row: &SqliteRow, column: &str) -> Result<T, sqlx::Error> {
    serde_json::from_str(&row.try_get::<String, _>(column)?).map_err(|error| damaged(column, error))
}

pub fn utc(row: &SqliteRow, column: &str) -> Result<Utc, sqlx::Error> {
    Ok(Utc::from_micros(row.try_get(column)?))
}

pub fn utc_maybe(row: &SqliteRow, column: &str) -> Result<Option<Utc>, sqlx::Error> {
    Ok(row.try_get::<Option<i64>, _>(column)?.map(Utc::from_micros))
}

pub fn number<T: TryFrom<i64, Error: Display>>(row: &SqliteRow, column: &str) -> Result<T, sqlx::Error> {
    row.try_get::<i64, _>(column)?.try_into().map_err(|error| damaged(column, error))
}

pub fn number_maybe<T: TryFrom<i64, Error: Display>>(
    row: &SqliteRow,
    column: &str,
) -> Result<Option<T>, sqlx::Error> {
    let value: Option<i64> = row.try_get(column)?;
    value.map(|value| value.try_into().map_err(|error| damaged(column, error))).transpose()
}

pub fn flag(row: &SqliteRow, column: &str) -> Result<bool, sqlx::Error> {
    Ok(row.try_get::<i64, _>(column)? != 0)
}

/// What is stored of a number that has no sign; sizes beyond `i64` mean no limit in practice.
pub fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
