/** One connection to a peer that proved who it is: frames over its socket, and signs of life. */
import type { TLSSocket } from "node:tls";
import { FrameReader, frameBytes, type PeerId } from "@orrery/p2p";

const KEEP_ALIVE: Uint8Array = frameBytes(new Uint8Array(0));

export interface LinkOptions {
  readonly peer: PeerId;
  readonly socket: TLSSocket;
  readonly onFrame: (frame: Uint8Array) => void;
  readonly onTaken: (bytes: number) => void;
  /** The first sign of the other side: it let this one in. */
  readonly onWelcome: () => void;
  readonly onTooLong: () => void;
}

export class Link {
  readonly #options: LinkOptions;
  readonly #reader = new FrameReader();
  #isWelcome = false;
  #isCorked = false;
  /** Since it last said something. Beats, not time: a process that stood still itself has not listened meanwhile. */
  #quietBeats = 0;
  #saidSinceBeat = true;
  #isPaused = false;

  constructor(options: LinkOptions) {
    this.#options = options;
    options.socket.setNoDelay(true);
    this.#write(KEEP_ALIVE, 0);
  }

  get peer(): PeerId {
    return this.#options.peer;
  }

  get isWelcome(): boolean {
    return this.#isWelcome;
  }

  take(chunk: Uint8Array): void {
    const { socket, onWelcome, onFrame, onTooLong } = this.#options;
    this.#quietBeats = 0;
    const isSound = this.#reader.push(chunk, (frame) => {
      if (!this.#isWelcome) {
        this.#isWelcome = true;
        onWelcome();
      }
      if (frame.length > 0 && !socket.destroyed) onFrame(frame);
    });
    if (!isSound) onTooLong();
  }

  send(frame: Uint8Array): void {
    this.#saidSinceBeat = true;
    this.#write(frameBytes(frame), frame.length);
  }

  pause(isPaused: boolean): void {
    this.#isPaused = isPaused;
    this.#quietBeats = 0;
    if (isPaused) this.#options.socket.pause();
    else this.#options.socket.resume();
  }

  /** Says something when nothing was said since the last beat; false when the other side was silent over more than so many. */
  beat(quietMax: number): boolean {
    // What is not read is not heard.
    if (!this.#isPaused && ++this.#quietBeats > quietMax) return false;
    const { socket } = this.#options;
    if (!this.#saidSinceBeat && socket.writableLength === 0) this.#write(KEEP_ALIVE, 0);
    this.#saidSinceBeat = false;
    return true;
  }

  end(): void {
    this.#options.socket.destroy();
  }

  /** What is sent in one turn goes out together. */
  #write(bytes: Uint8Array, counted: number): void {
    const { socket, onTaken } = this.#options;
    if (!this.#isCorked) {
      this.#isCorked = true;
      socket.cork();
      process.nextTick(() => {
        this.#isCorked = false;
        socket.uncork();
      });
    }
    socket.write(bytes, (error) => {
      if (error == null && counted > 0) onTaken(counted);
    });
  }
}
