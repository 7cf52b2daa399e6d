//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, value_parser};

use super::baseline;
use super::outcome::FlakyIs;
use super::scale;
use super::shard::Shard;

const RUN_EXAMPLES: &str = "\
Examples:
  ./test.sh rust_cpp 13.1        client in Rust, server in C++, scenario 13.1
  ./test.sh rust                 every scenario, all roles in Rust
  ./test.sh 13.1                 every available combination, scenario 13.1
  ./test.sh 'rust_*' '13.*'      Rust as client against every platform, all of feature 13
  ./test.sh rust 1.1,1.3 2.1-2.4 a list and a range of scenarios
  ./test.sh all                  everything
  ./test.sh -v cpp_rust 1.3      every step, and what was removed afterwards
  ./test.sh rust --same-process  every scenario, one Rust process playing all of its roles
  ./test.sh rust 1.7 --repeat 20 -j 4
                                 the same scenario 20 times, four at a time
  ./test.sh rust 11.3 --long-running 24h
                                 what is scaled to seconds otherwise, for a whole day
  ./test.sh rust --shuffle=7     every scenario, in the order that the seed 7 gives
  ./test.sh rust 1.7 --until-failure
                                 again and again, until it fails or you press Ctrl-C
  ./test.sh all --retries 2 --flaky=fail
                                 up to three attempts each; red if one needed more than one
  ./test.sh all --fail-fast --time-limit 10m
                                 not longer than ten minutes, and not beyond the first failure
  ./test.sh --rerun-failed       what was not green in the latest run
  ./test.sh all --baseline main.json
                                 everything, and what is different from a run that left this report
  ./test.sh all --shard 2/5      the second of five parts, each on a machine of its own
  ./test.sh all --junit out.xml --json out.json
                                 everything, with reports for other programs
  ./test.sh all --html out.html  everything, with a page to look at in a browser

A combination names platforms in the alphabetical order of the scenario's role names: client,
server for duplex channels; reader, writer for plain buffers.

Exit codes: 0 green, 1 not green, 2 usage or configuration, 3 a platform could not be set up,
4 nothing matched, 130 interrupted.";

const MUTATE_EXAMPLES: &str = "\
Examples:
  ./test.sh mutate rust              every mutant of every scenario, all roles in Rust
  ./test.sh mutate rust 4 13.1-13.4  those of some

Every number, text and table cell that a `Then` expects is changed, one at a time, and the step has to
fail. And every fault that step servers with faults built in (`faulty` in harmony.toml) can commit is
committed in every scenario that gives occasion for it, one at a time, and the scenario has to fail.
What survives with a reason is listed in survivors.toml, beside the feature files. -v shows with which
error each mutant was caught.

Exit codes: 0 at least 95 % were caught, every survivor is listed, and nothing else is; 1 not so, or a
scenario fails as it is; 2, 3 and 130 as for `run`; 4 nothing matched, or nothing can be changed.";

const REPORT_EXAMPLES: &str = "\
Examples:
  ./test.sh report                     what the latest run said, once more
  ./test.sh report -v                  the same with every step
  ./test.sh report --junit out.xml     a JUnit report of the latest run
  ./test.sh report --html out.html     a page of it to look at in a browser
  ./test.sh report target/harmony/runs/20260101-120000-4711 --json -
                                       JSON of that run, on standard output
  ./test.sh report --baseline main.json
                                       what is different from a run that left a JSON report

Reports are made of the log that every run writes as it goes, target/harmony/runs/<run>/events.ndjson.
A run that was killed has one as well: its reports say that it is incomplete.

Exit codes: 0 the reports were made, whatever they say; 1 something is worse than in --baseline; 2 they
were not made.";

const MERGE_EXAMPLES: &str = "\
Examples:
  ./test.sh all --shard 1/2            on one machine
  ./test.sh all --shard 2/2            on another one, at the same commit
  ./test.sh merge part-1 part-2 -o whole --junit out.xml
                                       the folders of both runs, copied to one place: one run
  ./test.sh report whole --json out.json

All runs have to be of the same version of harmony and the same commit, and none may have an execution
that another one has. Where a shard is missing, or a run was cut short, the merged run is incomplete.

Exit codes: as for `run`; a run that is incomplete is not green.";

const INSPECT_EXAMPLES: &str = "\
Examples:
  ./test.sh inspect                  every buffer on this machine, at this moment
  ./test.sh inspect camera-1         one of them
  ./test.sh inspect camera-1 --watch the same every half second, with rates, until Ctrl-C
  ./test.sh inspect --json           for other programs

Buffers are read, never changed: nothing is locked, mapped or opened for writing. Rates count a wrap as
a frame, and bytes at the least: what a writer skips at the end of the ring is not counted.

Exit codes: 0; 2 wrong usage; 4 there is no buffer of this name; 130 ended by Ctrl-C.";

const CLEAN_EXAMPLES: &str = "\
Examples:
  ./test.sh clean --dry-run          what would be removed
  ./test.sh clean                    remove it
  ./test.sh clean -v                 and name the files that belong to no buffer

A buffer is stale if neither its reader nor its writer lives and nobody holds its lock. Everything else
is left alone, whatever does not look like a buffer above all.

Exit codes: 0 nothing stale is left; 1 something could not be removed; 2 wrong usage.";

const COMPLETIONS_EXAMPLES: &str = "\
To install them:
  ./test.sh completions bash > ~/.local/share/bash-completion/completions/harmony
  ./test.sh completions zsh > ~/.zfunc/_harmony          with ~/.zfunc in $fpath, before compinit
  ./test.sh completions fish > ~/.config/fish/completions/harmony.fish

test.sh takes the same arguments; in ~/.bashrc:
  eval \"$(./test.sh completions bash)\"; complete -F _harmony -o bashdefault -o default ./test.sh";

const DOCTOR_EXAMPLES: &str = "\
Examples:
  ./test.sh doctor                 every platform of harmony.toml
  ./test.sh doctor mine            one, while you write its step server

Each line is one promise of the contract of step servers (README.md); where it is not kept, the line
below says what to do.

Exit codes: 0 all of them are kept; 1 not; 2 wrong usage; 3 a platform could not be set up or started.";

/// Runs scenarios on step servers in several languages, in every combination.
#[derive(Debug, Parser)]
#[command(name = "harmony", version, after_help = RUN_EXAMPLES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// The configuration; by default harmony.toml in this folder or above it.
    #[arg(long, global = true, env = "HARMONY_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Say more: every step, every removed leftover, set-up output.
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
    /// Say only what failed, and the counts.
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run scenarios.
    #[command(after_help = RUN_EXAMPLES)]
    Run(Run),
    /// List the scenarios and the combinations that would run.
    List(Selection),
    /// Find out whether scenarios could run, without running them; -v shows where each step goes.
    Check(Selection),
    /// Find out whether checks bite: change one expectation of a scenario at a time, or let step
    /// servers commit one fault at a time, and see the scenario fail.
    #[command(after_help = MUTATE_EXAMPLES)]
    Mutate(Mutation),
    /// Make reports of a run that has ended; without options, print what it said once more.
    #[command(after_help = REPORT_EXAMPLES)]
    Report {
        /// The folder of the run, its log, or its name; by default the latest run.
        #[arg(value_name = "RUN")]
        run: Option<PathBuf>,
        /// Which.
        #[command(flatten)]
        reports: Reports,
        /// What it is compared with.
        #[command(flatten)]
        comparing: Comparing,
    },
    /// Make one run of several: shards of a plan, or runs that have nothing in common.
    #[command(after_help = MERGE_EXAMPLES)]
    Merge(Merge),
    /// Find out whether platforms can be set up and started, and keep to the contract.
    #[command(after_help = DOCTOR_EXAMPLES)]
    Doctor {
        /// Platforms; by default all of them.
        #[arg(value_name = "PLATFORM")]
        platforms: Vec<String>,
    },
    /// Show buffers on this machine: what they hold, who uses them, and who of these is dead.
    #[command(after_help = INSPECT_EXAMPLES)]
    Inspect {
        /// A buffer; by default all of them.
        #[arg(value_name = "BUFFER")]
        buffer: Option<String>,
        /// Show it every half second, until Ctrl-C.
        #[arg(short, long)]
        watch: bool,
        /// Print JSON.
        #[arg(long, conflicts_with = "watch")]
        json: bool,
    },
    /// Remove what processes that have died left of their buffers on this machine.
    #[command(after_help = CLEAN_EXAMPLES)]
    Clean {
        /// Only say what would be removed.
        #[arg(short = 'n', long)]
        dry_run: bool,
    },
    /// Print completions for a shell.
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Keep a sandbox for another process of this program.
    #[command(name = HOLD_SANDBOX, hide = true)]
    HoldSandbox {
        /// MiB of shared memory.
        shm_size: u64,
    },
}

/// The command with which the runner starts itself to keep a sandbox.
pub const HOLD_SANDBOX: &str = "hold-sandbox";

/// What is to be run, and how.
#[derive(Debug, Args)]
pub struct Run {
    /// What.
    #[command(flatten)]
    pub selection: Selection,
    /// Run those executions again that were not green in a run: its folder, log or name, or the
    /// latest one. Nothing else can be asked for then. Where there are none, reports are of that run.
    #[arg(
        long,
        value_name = "RUN",
        num_args = 0..=1,
        conflicts_with_all = ["arguments", "tags", "name", "features", "same_process", "shard"]
    )]
    pub rerun_failed: Option<Option<PathBuf>>,
    /// How.
    #[command(flatten)]
    pub manner: Manner,
    /// What it is compared with.
    #[command(flatten)]
    pub comparing: Comparing,
    /// What is made of it.
    #[command(flatten)]
    pub reports: Reports,
}

/// Which runs are merged, and what is made of them.
#[derive(Debug, Args)]
pub struct Merge {
    /// The folders of the runs, their logs, or their names.
    #[arg(value_name = "RUN", required = true)]
    pub runs: Vec<PathBuf>,
    /// The folder of the merged run; by default a new one among those of other runs.
    #[arg(short, long, value_name = "FOLDER")]
    pub output: Option<PathBuf>,
    /// What it is compared with.
    #[command(flatten)]
    pub comparing: Comparing,
    /// What is made of it.
    #[command(flatten)]
    pub reports: Reports,
}

/// How executions are run.
#[derive(Debug, Clone, Args)]
pub struct Manner {
    /// How many executions run at the same time; by default as many as pay. Those of @exclusive
    /// scenarios run alone, after the others.
    #[arg(short, long, value_name = "N", value_parser = value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// Run every execution so many times.
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    pub repeat: Option<u32>,
    /// Run everything round by round until one execution is not green, or you press Ctrl-C; with
    /// --repeat N, N rounds at most.
    #[arg(long)]
    pub until_failure: bool,
    /// Begin no more executions after the first that is not green; those that run go on.
    #[arg(long)]
    pub fail_fast: bool,
    /// Run an execution again that fails, times out, crashes or leaks, up to N times. One that
    /// passes then is flaky.
    #[arg(long, value_name = "N", default_value = "0", value_parser = value_parser!(u32).range(..100))]
    pub retries: u32,
    /// Run only part I of N of what is asked for; `merge` makes one run of all parts.
    #[arg(long, value_name = "I/N", conflicts_with = "until_failure")]
    pub shard: Option<Shard>,
    /// Whether flaky executions are a warning, or fail the run.
    #[arg(
        long,
        value_name = "HOW",
        value_enum,
        default_value = "warn",
        requires = "retries"
    )]
    pub flaky: FlakyIs,
    /// End the run after so long (90, 90s, 5m, 24h), set-up included, with what is known then; by
    /// default what the configuration says.
    #[arg(long, value_name = "TIME", value_parser = scale::duration)]
    pub time_limit: Option<Duration>,
    /// Run the executions in a random order; the seed that is printed brings it back.
    #[arg(long, value_name = "SEED", num_args = 0..=1, require_equals = true)]
    pub shuffle: Option<Option<u64>>,
    /// For how long scenarios run that are made to run for hours (90, 90s, 5m, 24h); by default what
    /// the configuration says.
    #[arg(long, value_name = "TIME", value_parser = scale::duration)]
    pub long_running: Option<Duration>,
    /// By how much iterations and seconds of benchmarks are multiplied, at most 1; by default what
    /// the configuration says.
    #[arg(long, value_name = "FACTOR", value_parser = scale::factor)]
    pub benchmark_scale: Option<f64>,
    /// Use the machine's own /dev/shm and lock folder, instead of empty ones for each execution.
    #[arg(long)]
    pub no_sandbox: bool,
}

impl Manner {
    /// How many rounds are planned when the run begins.
    pub fn repeat_at_once(&self) -> u32 {
        match self.until_failure {
            true => 1,
            false => self.repeat.unwrap_or(1),
        }
    }

    /// How many rounds there may be.
    pub fn rounds(&self) -> usize {
        match (self.until_failure, self.repeat) {
            (true, None) => usize::MAX,
            (_, repeat) => repeat.map_or(1, |repeat| repeat as usize),
        }
    }

    /// The options without which a failure might not come again, each with a space before it.
    pub fn options_again(&self, selection: &Selection) -> String {
        let mut options = String::new();
        if selection.same_process {
            options.push_str(" --same-process");
        }
        if let Some(folder) = &selection.features {
            options.push_str(&format!(" --features {}", folder.display()));
        }
        if let Some(time) = self.long_running {
            options.push_str(&format!(" --long-running {}", time.as_secs_f64()));
        }
        if let Some(factor) = self.benchmark_scale {
            options.push_str(&format!(" --benchmark-scale {factor}"));
        }
        if self.no_sandbox {
            options.push_str(" --no-sandbox");
        }
        if self.until_failure {
            options.push_str(" --until-failure");
        }
        if let Some(repeat) = self.repeat.filter(|repeat| *repeat > 1) {
            options.push_str(&format!(" --repeat {repeat}"));
        }
        options
    }

    /// Whether an execution may run more than once, attempts aside.
    pub fn runs_repeatedly(&self) -> bool {
        self.until_failure || self.repeat_at_once() > 1
    }
}

/// What a run is compared with.
#[derive(Debug, Clone, Default, Args)]
pub struct Comparing {
    /// Say what is worse, lost (passed before, and is unsupported now, for example), better, slower,
    /// new or gone compared with this run: its folder, log or name, or a JSON report (*.json) of it.
    #[arg(long, value_name = "RUN")]
    pub baseline: Option<PathBuf>,
    /// How many times longer something takes that is told as slower; half a second at least.
    #[arg(
        long,
        value_name = "FACTOR",
        value_parser = baseline::slower,
        default_value = "2",
        requires = "baseline"
    )]
    pub slower: f64,
}

/// Reports beside that on the terminal; `-` as a file is standard output.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Reports (FILE may be - for standard output)")]
pub struct Reports {
    /// Write a JUnit report.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Write everything that is known of the run as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write a page to look at in a browser.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Write Cucumber Messages, one a line, for tools that read those of Cucumber.
    #[arg(long, value_name = "FILE")]
    pub messages: Option<PathBuf>,
    /// Print annotations for GitHub Actions, and add to the summary of the step; a run under GitHub
    /// Actions does so by itself.
    #[arg(long)]
    pub github: bool,
}

/// What is to be mutated, and how mutants are run.
#[derive(Debug, Args)]
pub struct Mutation {
    /// What.
    #[command(flatten)]
    pub selection: Selection,
    /// How many mutants run at the same time; by default as many as pay.
    #[arg(short, long, value_name = "N", value_parser = value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// Use the machine's own /dev/shm and lock folder, instead of empty ones for each mutant.
    #[arg(long)]
    pub no_sandbox: bool,
}

/// Which scenarios on which combinations.
#[derive(Debug, Default, Args)]
pub struct Selection {
    /// Combinations (rust_cpp, rust, 'rust_*', all) and scenario ids (13.1, '13.*', 1.1,1.3,
    /// 1.1-1.4), in any order; by default everything.
    #[arg(value_name = "COMBINATION|ID")]
    pub arguments: Vec<String>,
    /// Only scenarios whose tags fit, for example "@linux and not @stress".
    #[arg(long, value_name = "EXPRESSION")]
    pub tags: Option<String>,
    /// Only scenarios whose name contains a match of this regular expression.
    #[arg(long, value_name = "REGEX")]
    pub name: Option<String>,
    /// The folder of the feature files, instead of the configured one; what is known to fail stands in
    /// a known-failures.toml in there then.
    #[arg(long, value_name = "DIR")]
    pub features: Option<PathBuf>,
    /// Let one step server play all roles of a scenario, instead of one server for each.
    #[arg(long)]
    pub same_process: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_may_stand_anywhere() {
        let cli = Cli::try_parse_from(["harmony", "run", "rust_*", "-v", "13.*", "--tags", "@a"])
            .unwrap();
        assert!(cli.verbose);
        let Command::Run(Run { selection, .. }) = cli.command else {
            panic!("{:?}", cli.command)
        };
        assert_eq!(selection.arguments, ["rust_*", "13.*"]);
        assert_eq!(selection.tags.as_deref(), Some("@a"));
        assert!(Cli::try_parse_from(["harmony", "run", "-v", "-q"]).is_err());
    }
}
