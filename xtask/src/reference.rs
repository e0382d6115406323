//! `cargo xtask reference`: docs/reference/wit.md from the comments of wit/.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use wit_parser::{
    Docs, Function, Handle, Interface, Resolve, Type, TypeDefKind, TypeId, WorldItem, WorldKey,
};

use crate::shell;

#[derive(clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask reference\n  cargo xtask reference --check")]
pub(crate) struct Args {
    /// Write nothing; fail when the page is not current
    #[arg(long)]
    check: bool,
}

/// The task `reference`.
pub(crate) fn run(args: &Args) -> Result<()> {
    let (path, page) = (path(), page()?);
    if fs::read_to_string(&path).ok().as_deref() == Some(&*page) {
        println!("{} is current", path.display());
        return Ok(());
    }
    if args.check {
        bail!(
            "{} is not current; run `cargo xtask reference`",
            path.display()
        );
    }
    fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))?;
    println!("{} is written", path.display());
    Ok(())
}

fn path() -> PathBuf {
    shell::root().join("docs/reference/wit.md")
}

/// The whole page.
fn page() -> Result<String> {
    let mut resolve = Resolve::default();
    let wit = shell::root().join("wit");
    let (package, _) = resolve.push_dir(&wit).context("wit/ cannot be read")?;
    let package = resolve
        .packages
        .get(package)
        .context("wit/ has no package")?;
    let mut page = format!(
        "# {}\n\nWhat an agent and its host say to each other. Made from the comments in `wit/` by `cargo xtask reference`.\n",
        package.name
    );
    for world in package
        .worlds
        .values()
        .filter_map(|id| resolve.worlds.get(*id))
    {
        let docs = text(&world.docs);
        writeln!(page, "\n## World `{}`\n\n{docs}", world.name)?;
        for (what, items) in [("imports", &world.imports), ("exports", &world.exports)] {
            let names: Vec<String> = items
                .iter()
                .map(|(key, item)| item_name(&resolve, key, item))
                .collect();
            writeln!(page, "- {what}: {}", names.join(", "))?;
        }
    }
    let mut interfaces: Vec<&Interface> = package
        .interfaces
        .values()
        .filter_map(|id| resolve.interfaces.get(*id))
        .collect();
    interfaces.sort_by_key(|interface| interface.name.clone());
    for interface in interfaces {
        show(&resolve, interface, &mut page)?;
    }
    Ok(page)
}

fn item_name(resolve: &Resolve, key: &WorldKey, _: &WorldItem) -> String {
    let name = match key {
        WorldKey::Name(name) => name.clone(),
        WorldKey::Interface(id) => resolve
            .interfaces
            .get(*id)
            .and_then(|interface| interface.name.clone())
            .unwrap_or_default(),
    };
    format!("[{name}](#{name})")
}

fn show(resolve: &Resolve, interface: &Interface, page: &mut String) -> Result<()> {
    let name = interface.name.as_deref().unwrap_or_default();
    write!(page, "\n## {name}\n\n{}", text(&interface.docs))?;
    for (name, id) in &interface.types {
        show_type(resolve, name, *id, page)?;
    }
    for function in interface.functions.values() {
        write!(page, "\n### `{}`\n\n", signature(resolve, function))?;
        page.push_str(&text(&function.docs));
    }
    Ok(())
}

fn show_type(resolve: &Resolve, name: &str, id: TypeId, page: &mut String) -> Result<()> {
    let Some(definition) = resolve.types.get(id) else {
        return Ok(());
    };
    let (word, rows): (&str, Vec<(String, &Docs)>) = match &definition.kind {
        // Only named here, from another interface.
        TypeDefKind::Type(_) => return Ok(()),
        TypeDefKind::Record(record) => (
            "record",
            record
                .fields
                .iter()
                .map(|f| (format!("{}: {}", f.name, of(resolve, &f.ty)), &f.docs))
                .collect(),
        ),
        TypeDefKind::Variant(variant) => (
            "variant",
            variant
                .cases
                .iter()
                .map(|case| {
                    let held = case.ty.map(|ty| format!("({})", of(resolve, &ty)));
                    (
                        format!("{}{}", case.name, held.unwrap_or_default()),
                        &case.docs,
                    )
                })
                .collect(),
        ),
        TypeDefKind::Enum(choice) => (
            "enum",
            choice
                .cases
                .iter()
                .map(|c| (c.name.clone(), &c.docs))
                .collect(),
        ),
        TypeDefKind::Flags(flags) => (
            "flags",
            flags
                .flags
                .iter()
                .map(|f| (f.name.clone(), &f.docs))
                .collect(),
        ),
        TypeDefKind::Resource => ("resource", Vec::new()),
        _ => ("type", Vec::new()),
    };
    write!(page, "\n### {word} `{name}`\n\n{}", text(&definition.docs))?;
    if !rows.is_empty() {
        if definition.docs.contents.is_some() {
            page.push('\n');
        }
        page.push_str("| | |\n| --- | --- |\n");
    }
    for (row, docs) in rows {
        let docs = text(docs).trim().replace('\n', " ").replace('|', "\\|");
        writeln!(page, "| `{}` | {docs} |", row.replace('|', "\\|"))?;
    }
    Ok(())
}

fn signature(resolve: &Resolve, function: &Function) -> String {
    let parameters: Vec<String> = function
        .params
        .iter()
        .filter(|parameter| parameter.name != "self")
        .map(|parameter| format!("{}: {}", parameter.name, of(resolve, &parameter.ty)))
        .collect();
    let result = function.result.as_ref();
    let result = result.map_or_else(String::new, |ty| format!(" -> {}", of(resolve, ty)));
    // `[method]upload.append` as it is called: `upload.append`.
    let name = function.name.rsplit(']').next().unwrap_or_default();
    format!("{name}({}){result}", parameters.join(", "))
}

/// A type as WIT writes it.
fn of(resolve: &Resolve, ty: &Type) -> String {
    let Type::Id(id) = ty else {
        return format!("{ty:?}").to_lowercase();
    };
    let Some(definition) = resolve.types.get(*id) else {
        return String::new();
    };
    if let Some(name) = &definition.name {
        return name.clone();
    }
    let or_none = |ty: &Option<Type>| ty.map_or_else(|| "_".to_owned(), |ty| of(resolve, &ty));
    match &definition.kind {
        TypeDefKind::List(item) => format!("list<{}>", of(resolve, item)),
        TypeDefKind::Option(item) => format!("option<{}>", of(resolve, item)),
        TypeDefKind::Result(result) => {
            format!("result<{}, {}>", or_none(&result.ok), or_none(&result.err))
        }
        TypeDefKind::Tuple(tuple) => {
            let items: Vec<String> = tuple.types.iter().map(|ty| of(resolve, ty)).collect();
            format!("tuple<{}>", items.join(", "))
        }
        TypeDefKind::Handle(Handle::Own(id)) => of(resolve, &Type::Id(*id)),
        TypeDefKind::Handle(Handle::Borrow(id)) => {
            format!("borrow<{}>", of(resolve, &Type::Id(*id)))
        }
        other => other.as_str().to_owned(),
    }
}

/// A comment with a line end after it; nothing when there is none.
fn text(docs: &Docs) -> String {
    match &docs.contents {
        Some(contents) => format!("{}\n", contents.trim()),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_in_docs_is_current() {
        let kept = fs::read_to_string(path()).unwrap_or_default();
        assert!(kept == page().unwrap(), "run `cargo xtask reference`");
    }

    #[test]
    fn every_function_of_an_interface_has_its_signature_and_comment() {
        let page = page().unwrap();
        let signature = "### `get(key: string) -> result<option<item>, error>`";
        assert!(page.contains(signature), "{page}");
        assert!(page.contains("### record `invocation`"));
    }
}
