// Loads the pages' vendored modules; prints the names that they give, and those that they leave
// behind as globals.
const vendor = "../../src/headrace/server/pages/assets/vendor/";
const before = new Set(Object.getOwnPropertyNames(globalThis));
const names = Object.keys(await import(`${vendor}preact.js`));
for (const name of ["marked", "purify", "uplot"])
  names.push(...Object.keys(await import(`${vendor}${name}.js`)).map((own) => `${name}.${own}`));
for (const name of Object.getOwnPropertyNames(globalThis))
  if (!before.has(name)) names.push(`global.${name}`);
console.log(names.join("\n"));
