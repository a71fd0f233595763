// Who is who may change while somebody decides by it: then the decision is made again.

/** Somebody was merged, separated or erased meanwhile. The transaction is to be given up and run again. */
export class PeopleChanged extends Error {
  override name = "PeopleChanged";
}

/** Runs in a row that lose against merges before a caller is told to come again. */
export const PEOPLE_CHANGES_MAX = 20;
