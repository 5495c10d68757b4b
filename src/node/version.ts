/** This release. The same as in package.json, which a test holds true. */
export const VERSION = '0.1.0'
