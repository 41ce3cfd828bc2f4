/** What this tab must remember to come back to its session: after a lost socket, and after a reload. @internal */
export class Tab {
  session: string | null = null;
  resume: string | null = null;
  lastSeq = 0;
  private key: string;
  private stored: boolean;
  private free: () => void = () => {};

  constructor(url: string, stored: boolean) {
    this.key = "crosspoint " + url;
    this.stored = stored && typeof sessionStorage !== "undefined";
  }

  /** Reads what the page before left here. */
  async load(): Promise<void> {
    if (!this.stored || this.session !== null) return;
    try {
      const kept = JSON.parse(sessionStorage.getItem(this.key) ?? "null");
      // A duplicated tab has the same storage, and must leave the session to the first.
      if (!kept || !(await this.own(kept.session))) return;
      this.session = kept.session;
      this.resume = kept.resume;
      this.lastSeq = kept.lastSeq;
    } catch {
      // Storage that is blocked, or not ours: a new session.
    }
  }

  keep(session: string, resume: string): void {
    if (session !== this.session) {
      this.lastSeq = 0;
      this.free();
      if (this.stored) void this.own(session);
    }
    this.session = session;
    this.resume = resume;
    this.write();
  }

  save(lastSeq: number | undefined): void {
    if (lastSeq === undefined || lastSeq === this.lastSeq || this.session === null) return;
    this.lastSeq = lastSeq;
    this.write();
  }

  forget(): void {
    this.session = this.resume = null;
    this.lastSeq = 0;
    this.free();
    try {
      if (this.stored) sessionStorage.removeItem(this.key);
    } catch {
      // Blocked: nothing was kept.
    }
  }

  private write(): void {
    if (!this.stored) return;
    try {
      const { session, resume, lastSeq } = this;
      sessionStorage.setItem(this.key, JSON.stringify({ session, resume, lastSeq }));
    } catch {
      // Blocked: calls do not survive a reload.
    }
  }

  /** Whether no other living page has this session. The lock goes with the page. */
  private own(session: string): Promise<boolean> {
    const locks = typeof navigator === "undefined" ? undefined : navigator.locks;
    if (!locks) return Promise.resolve(true);
    return new Promise((answer) => {
      // The page before may still be on its way out.
      const patience = AbortSignal.timeout?.(1000);
      locks.request("crosspoint " + session, patience ? { signal: patience } : {}, () => {
        answer(true);
        return new Promise<void>((free) => (this.free = free));
      }).catch(() => answer(false));
    });
  }
}
