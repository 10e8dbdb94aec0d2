/**
 * The rare records: plain maps with their fields' full names, because here reading matters and size does not.
 * All carry `at`, Unix ms.
 */

export interface Notes {
  readonly breaker: {
    readonly at: number
    readonly model: string
    readonly version: string
    readonly from: string
    readonly to: string
    /** What tripped or closed it, in words. */
    readonly cause: string
    /** False: it only reported what it would have done. */
    readonly enforced: boolean
  }
  /** One endpoint of a version is passed over by all lanes, or used again. */
  readonly endpoint: {
    readonly at: number
    /** The one that found out; -1: the control thread, by asking the endpoint whether it is well. */
    readonly lane: number
    readonly model: string
    readonly version: string
    readonly endpoint: string
    /** Passed over from now on; false: used again. */
    readonly out: boolean
    /** How long it is passed over at least; 0 when it is used again, or out until it says that it is well. */
    readonly forMs: number
    /** In words: `5 failures in a row`, `/v2/health/ready answered 503`. */
    readonly cause: string
  }
  /** Connections that ended before a request of theirs was read; `connections` since the last such record of the lane. */
  readonly unread: {
    readonly at: number
    readonly lane: number
    /** Peer of the last of them. */
    readonly address: string
    readonly connections: number
  }
  /** How short of time and memory a lane is: 0 to 3. */
  readonly pressure: {
    readonly at: number
    readonly lane: number
    readonly from: number
    readonly to: number
    readonly cause: string
  }
  /** Another thread took the place of a lane. */
  readonly lane: {
    readonly at: number
    readonly lane: number
    /** Name of the error, and where it came up: never its words, which may hold a caller's. */
    readonly cause: string
  }
  readonly config: {
    readonly at: number
    readonly generation: number
    readonly hash: string
    readonly file: string
  }
  readonly start: {
    readonly at: number
    readonly version: string
    readonly node: string
    readonly platform: string
    readonly lanes: number
    readonly pid: number
  }
  readonly stop: { readonly at: number; readonly cause: string; readonly abandoned: number }
  readonly gap: LossNote
  readonly recovery: RecoveryReport & {
    readonly at: number
    /** The log before this one could not be opened, and somebody set it aside: the first record of its successor. */
    readonly acknowledged?: Acknowledgement
  }
  readonly mark: MarkNote
  /** A label or a reward for an earlier decision; `value` in `unit` (a currency code for money), empty: a plain number. */
  readonly outcome: {
    readonly at: number
    readonly id: string
    readonly model: string
    readonly name: string
    readonly value: number
    readonly unit: string
    readonly by: string
  }
  readonly approval: {
    readonly at: number
    readonly change: string
    readonly by: string
    readonly isApproved: boolean
    readonly base: string
    readonly result: string
    readonly words: string
  }
  /** `by` is empty when the rollout acted by itself. */
  readonly rollout: {
    readonly at: number
    readonly model: string
    readonly version: string
    readonly step: string
    readonly percent: number
    readonly by: string
    readonly cause: string
  }
  readonly auth: {
    readonly at: number
    readonly principal: string
    readonly isAllowed: boolean
    readonly action: string
    readonly cause: string
  }
  readonly access: AccessNote
  readonly key: KeyNote
  readonly prune: PruneNote
  readonly note: FromInbox & { readonly at: number; readonly by: string; readonly words: string }
  /** `subject` is the keyed digest under which its key was filed, never the subject itself. */
  readonly erase: FromInbox & {
    readonly at: number
    readonly by: string
    readonly subject: string
    readonly keys: number
  }
  readonly hold: FromInbox & {
    readonly at: number
    readonly by: string
    readonly isOn: boolean
    readonly words: string
  }
}

/** What another process left for the log: two records with the same `inbox` are one note, recorded again after a crash. */
interface FromInbox {
  /** UUID; absent when the gateway itself recorded it. */
  readonly inbox?: string
}

/** Somebody read, searched, verified or exported the log. */
export interface AccessNote extends FromInbox {
  readonly at: number
  readonly by: string
  readonly host: string
  /** The command or route: `audit export`, `GET /api/v1/audit/proofs/{seq}`. */
  readonly action: string
  /** What was asked, in words. */
  readonly asked: string
  /** Records it was answered with. */
  readonly records: number
}

/** The key that signs from here on; signed by the key before (none for the first of an epoch) and by itself. */
export interface KeyNote {
  readonly at: number
  readonly origin: string
  /** Verifier keys as in C2SP signed notes; `from` is empty for the first of an epoch. */
  readonly from: string
  readonly to: string
  /** Signed note (SPEC.md) that says the same, signed by both; by `to` alone when `from` is empty. */
  readonly note: string
}

/** Everything before sequence `through` is deleted, or will be at once. */
export interface PruneNote extends FromInbox {
  readonly at: number
  readonly by: string
  readonly records: number
  readonly through: number
  /** Base64 root of the tree of the first `through` records: what remains is still proven by it. */
  readonly root: string
  readonly cause: string
}

export interface LossNote {
  /** When the loss ended, that is when this could be written. */
  readonly at: number
  readonly lane: number
  /** Unix ms at which the first of them was lost. */
  readonly since: number
  /**
   * Records whose callers were told that they are not written; their lane sequences lie between `from` and `to`, ends
   * included. One of them may have been written all the same (when a failed write could not be cut off): then
   * it is in the log under its own origin too.
   */
  readonly records: number
  readonly from: number
  readonly to: number
  /** `ENOSPC`, `backlog`, `too-large`, `journal-damaged`, … */
  readonly cause: string
}

export interface RecoveryReport {
  /** Journals a run had left behind. */
  readonly journals: number
  /** Records in them that no segment had yet, now appended; and those that were there already. */
  readonly replayed: number
  readonly known: number
  /** Of the replayed, digests that died with the process. */
  readonly digestsLost: number
  /** Records known to be missing: holes in the sequence of a journal, none of them explained by a loss record. */
  readonly missing: number
  /** Records that stood whole behind damage and were appended again. */
  readonly salvaged: number
  /** Requests that were under way and have no record of a lane's: each got one that says so. */
  readonly unknownCrash: number
  /** What was damaged, kept under `torn/`. */
  readonly torn: readonly TornPart[]
}

/** Why a log was set aside, and who said so. */
export interface Acknowledgement {
  readonly at: number
  readonly by: string
  readonly words: string
  /** Of the log that was set aside. */
  readonly origin: string
  /** Why it could not be opened. */
  readonly problem: string
  /** Its last checkpoint as it was found; empty when there was none. */
  readonly checkpoint: string
}

export interface TornPart {
  /** The file it was found in, and the file it is kept in, both relative to the data directory. */
  readonly file: string
  readonly kept: string
  readonly at: number
  readonly bytes: number
  /** tail: nothing whole follows; middle: whole records follow; file: the file itself cannot be read. */
  readonly where: 'tail' | 'middle' | 'file'
}

/** Stands near the begin of each segment of a run but its first: what need not be looked for further back. */
export interface MarkNote {
  readonly at: number
  /** Of this run, all records of `lane` up to its sequence `through` are in segments before this one, synced. */
  readonly lanes: readonly { readonly lane: number; readonly through: number }[]
}
