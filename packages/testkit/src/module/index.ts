export { type CallAs, type CallingUser, credentialTexts, isUserText, userText } from "./call-as.ts";
export { expectReason } from "./expect-reason.ts";
export {
  type ModuleOptions,
  type ModuleParts,
  ModuleUnderTest,
  startModule,
  startParts,
  testLogger,
} from "./module-under-test.ts";
