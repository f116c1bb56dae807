//! `keyproof query`.

use std::fs::File;
use std::future::Future;
use std::io::{BufWriter, IsTerminal as _, Read as _, Write};
use std::path::{Path, PathBuf};

use super::common::{self, Common};
use crate::engine::bounded::POOL_BYTES;
use crate::engine::holds_more_than;
use crate::error::{Exit, Failure};
use crate::model::ids::Sha256Hex;
use crate::model::table::Dataset as _;
use crate::query::named::NAMED;
use crate::query::{Asked, Format, Named, Question, Span};
use crate::report::{WIDTH, text};
use crate::run::{self, QueryRequest, RunError, When};
use crate::time::{Date, Quarter};

/// More is no statement.
const LONGEST_BYTES: u64 = 1024 * 1024;
/// Memory of the whole process: what the engine counts, and half of that for what it does not.
const MOST_BYTES: u64 = POOL_BYTES as u64 / 2 * 3;
/// Seed and size of a sample that nobody chose.
const SEED: i64 = 7;
const SIZE: i64 = 25;

/// Ask sealed evidence in SQL.
///
/// Every dataset of schemas/ is a view with its plain name, and holds the rows of runs of record only,
/// from files that are compared with their sealed digests before they are read; `file_sha256` names the
/// file of each row. Beside them stand `sealed_run` (the whole chain), `evidence_file` (the files in view)
/// and `asked`. Without --at or --quarter the newest run of record is in view; a named query says itself
/// how many runs it reads.
///
/// A query may take 1 GiB of memory; sorts and groups of more go on in files below the work folder, and
/// a query that cannot ends with a word. A table shows the first 10,000 rows.
///
/// Only reading is possible, and only these views can be read. The dialect is DataFusion's; the queries of
/// schemas/queries/ run in Amazon Athena, DuckDB and Spark as well.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// A query of schemas/queries/ instead of SQL
    #[arg(long, value_name = "NAME", conflicts_with = "sql")]
    named: Option<String>,
    /// List the named queries
    #[arg(long, conflicts_with_all = ["sql", "named"])]
    list: bool,
    /// The run of record of this date
    #[arg(long, value_name = "DATE", conflicts_with = "quarter")]
    at: Option<Date>,
    /// The runs of record of this quarter, e.g. 2026Q4
    #[arg(long, value_name = "Q")]
    quarter: Option<Quarter>,
    /// SHA-256 of the archive's first entry, as its owner told you
    #[arg(long, value_name = "SHA256")]
    pin: Option<Sha256Hex>,
    /// How rows are written
    #[arg(long, value_enum, default_value = "table")]
    format: Shape,
    /// File to write to instead of standard output; one that is there is left as it is
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace the file of --out, if it is there
    #[arg(long, requires = "out")]
    overwrite: bool,
    /// Seed of sample-clusters [default: 7]
    #[arg(long)]
    seed: Option<i64>,
    /// Size of the sample [default: 25]
    #[arg(long, value_parser = clap::value_parser!(i64).range(0..))]
    n: Option<i64>,
    /// Folder for fetched files while the command works
    #[arg(long, value_name = "DIR")]
    work_dir: Option<String>,
    /// One statement that reads; `-` takes it from standard input
    #[arg(required_unless_present_any = ["named", "list"])]
    sql: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Shape {
    Table,
    Csv,
    Json,
    Parquet,
}

impl From<Shape> for Format {
    fn from(shape: Shape) -> Self {
        match shape {
            Shape::Table => Self::Table,
            Shape::Csv => Self::Csv,
            Shape::Json => Self::Json,
            Shape::Parquet => Self::Parquet,
        }
    }
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    if args.list {
        return common::print(&list());
    }
    common::start_logging(common::LogFormat::Text, false);
    let named = args.named.as_deref().map(Named::find).transpose();
    let named = named.map_err(|e| Failure::usage(e.to_string()))?;
    let sql = match (&named, args.sql) {
        (Some(named), _) => named.sql.to_owned(),
        (None, Some(sql)) if sql == "-" => from_input()?,
        (None, sql) => sql.unwrap_or_default(),
    };
    let question = Question::parse(&sql).map_err(|e| Failure::usage(e.to_string()))?;
    let sample = [("--seed", args.seed), ("--n", args.n)];
    if let Some((flag, _)) = sample.iter().find(|(_, value)| value.is_some())
        && !question.names(Asked::NAME)
    {
        return Err(Failure::usage(format!(
            "{flag} is for --named sample-clusters, and for statements that read the view `asked`"
        )));
    }
    if args.format == Shape::Parquet && args.out.is_none() && std::io::stdout().is_terminal() {
        return Err(Failure::usage(
            "Parquet is nothing for a terminal: name a file with --out",
        ));
    }
    let span = named.map_or(Span::Newest, |named| named.span());
    let request = QueryRequest {
        question,
        when: match (args.at, args.quarter) {
            (Some(date), _) => When::At(date, span),
            (None, Some(quarter)) => When::Quarter(quarter),
            (None, None) => When::Newest(span),
        },
        format: args.format.into(),
        seed: args.seed.unwrap_or(SEED),
        n: args.n.unwrap_or(SIZE),
        pin: args.pin,
    };
    let mut flags = crate::config::Layer::default();
    flags.flag("work_dir", args.work_dir);
    let (config, _) = common::load(&args.common, flags)?;
    let shell = common::shell();
    let Some(path) = args.out else {
        let out = BufWriter::new(std::io::stdout());
        return match bounded(run::query(&shell, &config, &request, out)).await? {
            Err(RunError::Query(e)) if e.is_closed_pipe() => Ok(Exit::Success),
            other => other.map(|_| Exit::Success).map_err(common::failure),
        };
    };
    run::refuse_inside_archive(&config, &path).map_err(common::failure)?;
    if !args.overwrite && path.symlink_metadata().is_ok() {
        return Err(there(&path));
    }
    // Beside the file, so that what stands there is the whole answer or what was there before.
    let mut part = path.clone().into_os_string();
    part.push(format!(".part-{}", std::process::id()));
    let part = PathBuf::from(part);
    let file = File::create_new(&part).map_err(|e| unwritable(&path, &e))?;
    let out = Synced(BufWriter::new(file));
    let done = bounded(run::query(&shell, &config, &request, out)).await;
    let kept = done
        .and_then(|done| done.map_err(common::failure))
        .and_then(|rows| keep(&part, &path, args.overwrite).map(|()| rows));
    let _ = std::fs::remove_file(&part);
    let rows = text::counted(kept? as i64, "row", "rows");
    tracing::info!("{rows} written to {}", path.display());
    Ok(Exit::Success)
}

/// What a query gives, unless it needs too much memory or somebody stops it: then it is dropped with what it
/// left on disk.
async fn bounded<T>(query: impl Future<Output = T>) -> Result<T, Failure> {
    let mut signals = common::Signals::listen();
    tokio::select! {
        done = query => Ok(done),
        () = holds_more_than(MOST_BYTES) => Err(Failure::failed(format!(
            "the query needs more than {} MiB of memory: ask for fewer rows, columns or dates, or for \
             shorter texts",
            MOST_BYTES / 1024 / 1024
        ))),
        () = signals.next() => Err(Failure::failed("the query was stopped by a signal")),
    }
}

fn there(path: &Path) -> Failure {
    Failure::usage(format!(
        "{} is there already and is left as it is; name another file, or add --overwrite",
        path.display()
    ))
}

fn keep(part: &Path, path: &Path, overwrite: bool) -> Result<(), Failure> {
    let kept = if overwrite {
        std::fs::rename(part, path)
    } else {
        // A link does not replace what came there meanwhile.
        std::fs::hard_link(part, path)
    };
    kept.map_err(|e| match e.kind() {
        std::io::ErrorKind::AlreadyExists => there(path),
        _ => unwritable(path, &e),
    })
}

/// The statement on standard input, e.g. a file of schemas/queries/ that was changed.
fn from_input() -> Result<String, Failure> {
    let mut text = String::new();
    let read = std::io::stdin()
        .take(LONGEST_BYTES)
        .read_to_string(&mut text);
    read.map_err(|e| Failure::usage(format!("cannot read standard input: {e}")))?;
    // A statement that was cut off may still be one, and another.
    if text.len() as u64 == LONGEST_BYTES {
        return Err(Failure::usage(format!(
            "standard input has {LONGEST_BYTES} bytes and more: that is no statement"
        )));
    }
    Ok(text)
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::failed(format!("cannot write {}: {error}", path.display()))
}

/// A file whose flush reaches the disk.
struct Synced(BufWriter<File>);

impl Write for Synced {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()?;
        self.0.get_ref().sync_all()
    }
}

fn list() -> String {
    let mut all = String::new();
    for query in NAMED {
        all.push_str(query.name);
        all.push_str("\n    ");
        all.push_str(&text::wrap(&query.about(), WIDTH, 4));
        all.push('\n');
    }
    all
}
