/** This release, for whoever talks to the API. */
export { VERSION } from '../node/version.ts'
