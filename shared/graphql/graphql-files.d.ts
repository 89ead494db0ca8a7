/** Schema files are imported as text, by the bundler and by jest alike. */
declare module '*.graphql' {
  const text: string;
  export default text;
}
