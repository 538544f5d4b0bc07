//! Shell completions and man pages, from the definitions of the options.

use crate::{cli::command, error::Error, output, output::Output};
use clap::Args;
use clap_complete::Shell;
use clap_mangen::Man;
use serde_json::json;
use std::{
    io::{Write, stdout},
    path::PathBuf,
};

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Write a page for each subcommand to this folder, such as /usr/local/share/man/man1
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

pub(crate) fn completions(args: &CompletionsArgs) -> Result<(), Error> {
    let mut script = Vec::new(); // the generator panics where it cannot write
    clap_complete::generate(args.shell, &mut command(), "bn", &mut script);
    Ok(stdout().write_all(&script)?)
}

pub(crate) fn man(args: &ManArgs, output: Output) -> Result<(), Error> {
    let mut command = command();
    command.build(); // gives each subcommand the global options and its whole name
    let Some(folder) = &args.folder else {
        let mut page = Vec::new();
        Man::new(command).render(&mut page)?;
        return Ok(stdout().write_all(&page)?);
    };
    std::fs::create_dir_all(folder).map_err(|source| Error::Output {
        path: folder.clone(),
        source,
    })?;
    let subcommands = command.get_subcommands().filter(|c| c.get_name() != "help");
    let mut files = Vec::new();
    for command in std::iter::once(&command).chain(subcommands) {
        let name = match command.get_name() {
            "bn" => "bn".to_owned(),
            name => format!("bn-{name}"),
        };
        let mut page = Vec::new();
        Man::new(command.clone().name(name.clone())).render(&mut page)?;
        let path = folder.join(format!("{name}.1"));
        output::write(&path, &page)?;
        files.push(path);
    }
    output.report(&json!({ "files": files }), || {
        format!("{} pages in {}", files.len(), folder.display())
    })
}
