// Exports statements of this package's stores for the tests of services that review query plans.
export { addSubjects, claimsAbout, removeSubjects } from "./subject-store.ts";
