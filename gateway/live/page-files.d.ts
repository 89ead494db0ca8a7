/** Files for the browser are imported as text, by the bundler and by jest alike; `.page.js` are its scripts. */
declare module '*.page.js' {
  const text: string;
  export default text;
}
declare module '*.html' {
  const text: string;
  export default text;
}
declare module '*.css' {
  const text: string;
  export default text;
}
declare module '*.svg' {
  const text: string;
  export default text;
}
