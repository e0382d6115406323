//! Reading a listing to its end, page by page.

use crate::Result;

/// How many entries an iterator asks for at once.
const ENTRIES_PER_PAGE: u32 = 200;

type Fetched<T> = Result<(Vec<T>, Option<String>)>;
type Fetch<T> = Box<dyn Fn(Option<&str>, u32) -> Fetched<T>>;

/// Everything that a listing holds, in order; fetches the next page when it is needed.
///
/// After an error it ends.
pub struct Pages<T> {
    fetch: Fetch<T>,
    page: std::vec::IntoIter<T>,
    next: Next,
}

enum Next {
    First,
    After(String),
    Done,
}

impl<T> Pages<T> {
    /// The entries under `prefix`.
    pub(crate) fn new(prefix: &str, fetch: fn(&str, Option<&str>, u32) -> Fetched<T>) -> Self
    where
        T: 'static,
    {
        let prefix = prefix.to_owned();
        Self::of(move |cursor, limit| fetch(&prefix, cursor, limit))
    }

    /// The entries that `fetch` hands out after a cursor, at most so many at once.
    pub(crate) fn of(fetch: impl Fn(Option<&str>, u32) -> Fetched<T> + 'static) -> Self {
        Self {
            fetch: Box::new(fetch),
            page: Vec::new().into_iter(),
            next: Next::First,
        }
    }
}

impl<T> Iterator for Pages<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.page.next() {
                return Some(Ok(entry));
            }
            let cursor = match std::mem::replace(&mut self.next, Next::Done) {
                Next::First => None,
                Next::After(cursor) => Some(cursor),
                Next::Done => return None,
            };
            match (self.fetch)(cursor.as_deref(), ENTRIES_PER_PAGE) {
                Ok((entries, cursor)) => {
                    self.page = entries.into_iter();
                    self.next = cursor.map_or(Next::Done, Next::After);
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
