/** Lets jest import `.graphql` files, and those for the browser, as text, as the bundler does. */
export default { process: (text) => ({ code: `export default ${JSON.stringify(text)};` }) };
