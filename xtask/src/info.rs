//! `cargo xtask info`: facts about the workspace for scripts, one line each.

use crate::error::{Error, Result};
use crate::workspace::{Package, Workspace, all_features};

/// `cargo xtask info members|published|features|doc-pages`.
pub fn command(ws: &Workspace, given: &[String]) -> Result<()> {
    let packages = ws.packages()?;
    let lines = match given {
        [kind] if kind == "members" => names(packages.iter()),
        [kind] if kind == "published" => names(packages.iter().filter(|package| package.is_published())),
        [kind] if kind == "features" => vec![all_features(&packages)],
        [kind] if kind == "doc-pages" => packages.iter().filter_map(doc_page).collect(),
        _ => return Err(Error::Usage("info needs one of: members, published, features, doc-pages.".into())),
    };
    for line in lines {
        println!("{line}");
    }
    Ok(())
}

fn names<'a>(packages: impl Iterator<Item = &'a Package>) -> Vec<String> {
    packages.map(|package| package.name.clone()).collect()
}

/// The first page that rustdoc makes for the package's library, or else its program.
fn doc_page(package: &Package) -> Option<String> {
    let of_kind = |kind: &str| package.targets.iter().find(|target| target.kind.iter().any(|k| k == kind));
    let target = of_kind("lib").or_else(|| of_kind("bin"))?;
    Some(format!("target/doc/{}/index.html", target.name.replace('-', "_")))
}
