/** What our own pages may do in a browser: nothing but our own files and our own graph; no markup is ever made of a text. */
const PAGE_POLICY: Readonly<Record<string, string>> = {
  'default-src': "'none'",
  'script-src': "'self'",
  'style-src': "'self'",
  'img-src': "'self'",
  'connect-src': "'self'",
  'base-uri': "'none'",
  'form-action': "'none'",
  'frame-ancestors': "'none'",
  'require-trusted-types-for': "'script'",
  'trusted-types': "'none'",
};

/** The Content-Security-Policy of a page of ours; `more` adds to it, or takes the place of what is there. */
export const pagePolicy = (more: Readonly<Record<string, string>> = {}): string =>
  Object.entries({ ...PAGE_POLICY, ...more })
    .map((directive) => directive.join(' '))
    .join('; ');

/** Headers of a page of ours, or of a file that belongs to one. */
export const pageHeaders = (type: string, policy: string, caching: 'no-cache' | 'no-store') => ({
  'content-type': type,
  'content-security-policy': policy,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': caching,
});
