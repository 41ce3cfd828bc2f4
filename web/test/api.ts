// Checked by the TypeScript compiler, never run: whatever is typed against the promised interface
// (`promised.d.ts`) works with the module that `npm run build` makes (`../dist/sdk.d.ts`).
import type * as Promised from "./promised.js";
import type * as Built from "../dist/sdk.js";

/** Without the handlers as properties: they are written and read, so that one with more to tell does not fit. */
type Plain<T> = Omit<T, `on${string}`>;
/** What the module gives fits where the promise is expected. */
type Fits<Given extends Plain<Expected>, Expected> = [Given, Expected];
/** What a page hands over is taken. */
type Takes<Expected, Given extends Expected> = [Expected, Given];
/** Two that are the same: none of the words of one is unknown to the other. */
type Alike<One, Other extends One> = [One, Other];
type None<T extends never> = T;

export type Given = [
  Fits<Built.Phone, Promised.Phone>,
  Fits<Built.Call, Promised.Call>,
  Fits<Built.CallDTMFSender, Promised.CallDTMFSender>,
  Fits<Built.CallDTMFReceiver, Promised.CallDTMFReceiver>,
  Fits<Built.DTMFToneChangeEvent, Promised.DTMFToneChangeEvent>,
  Fits<Built.CallWarningEvent, Promised.CallWarningEvent>,
  Fits<Built.CallStatsEvent, Promised.CallStatsEvent>,
  Fits<Built.CallEndedEvent, Promised.CallEndedEvent>,
  Fits<Built.CallEvent, Promised.CallEvent>,
  Fits<Built.IncomingCallEvent, Promised.IncomingCallEvent>,
  Fits<Built.TransferEvent, Promised.TransferEvent>,
  Fits<Built.PhoneError, Promised.PhoneError>,
  Fits<Built.PhoneErrorEvent, Promised.PhoneErrorEvent>,
  Fits<Built.AudioDevices, Promised.AudioDevices>,
  Fits<Built.CallStats, Promised.CallStats>,
  Fits<Built.CollectResult, Promised.CollectResult>,
  Fits<Built.PreflightReport, Promised.PreflightReport>,
  Fits<Built.TransferResult, Promised.TransferResult>,
  Fits<Built.PhoneEventMap, Promised.PhoneEventMap>,
  Fits<Built.CallEventMap, Promised.CallEventMap>,
  Fits<typeof Built.Phone.supported, typeof Promised.Phone.supported>,
];

export type Taken = [
  Takes<Built.PhoneInit, Promised.PhoneInit>,
  Takes<Built.CallInit, Promised.CallInit>,
  Takes<Built.MediaInit, Promised.MediaInit>,
  Takes<Built.CollectInit, Promised.CollectInit>,
  Takes<Built.PreflightInit, Promised.PreflightInit>,
  Takes<ConstructorParameters<typeof Built.Phone>, ConstructorParameters<typeof Promised.Phone>>,
];

export type Names = [
  None<Exclude<keyof Promised.Phone, keyof Built.Phone>>,
  None<Exclude<keyof Promised.Call, keyof Built.Call>>,
  None<Exclude<keyof Promised.CallDTMFSender, keyof Built.CallDTMFSender>>,
  None<Exclude<keyof Promised.CallDTMFReceiver, keyof Built.CallDTMFReceiver>>,
];

type PromisedWords = [
  Promised.PhoneState, Promised.CallState, Promised.CallDirection, Promised.EndCode, Promised.WarningName, Promised.Party,
  Promised.EndReason,
];
type BuiltWords = [
  Built.PhoneState, Built.CallState, Built.CallDirection, Built.EndCode, Built.WarningName, Built.Party, Built.EndReason,
];
export type There = Alike<BuiltWords, PromisedWords>;
export type Back = Alike<PromisedWords, BuiltWords>;
