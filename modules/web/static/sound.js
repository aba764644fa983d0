// The sound when something is done: the file that the owner has put into the data folder, else two notes of our own.

import { address } from "./api.js";

const NOTES = [
  [659.25, 0],
  [987.77, 0.16],
]; // hertz, seconds from the beginning
const LENGTH = 0.9;
const LOUD = 0.16;

class Sound {
  #context = null;
  #file = null; // promise of an AudioBuffer, or of null

  /** Play it; false where the browser does not let it be heard (before the first click on the page). */
  async play() {
    const context = (this.#context ??= new AudioContext());
    await Promise.race([context.resume(), new Promise((resolve) => setTimeout(resolve, 500))]);
    if (context.state !== "running") return false;
    this.#file ??= this.#load(context);
    const buffer = await this.#file;
    if (buffer) playFile(context, buffer);
    else NOTES.forEach(([pitch, after]) => playNote(context, pitch, context.currentTime + after));
    return true;
  }

  async #load(context) {
    try {
      const answer = await fetch(address("sound"));
      return answer.status === 200 ? await context.decodeAudioData(await answer.arrayBuffer()) : null;
    } catch {
      return null; // a file that is no sound, or no server: the notes are always there
    }
  }
}

function playFile(context, buffer) {
  const source = new AudioBufferSourceNode(context, { buffer });
  source.connect(context.destination);
  source.start();
}

// A bell: it begins at once and fades.
function playNote(context, pitch, at) {
  const tone = new OscillatorNode(context, { type: "sine", frequency: pitch });
  const volume = new GainNode(context, { gain: 0 });
  volume.gain.setValueAtTime(0, at);
  volume.gain.linearRampToValueAtTime(LOUD, at + 0.012);
  volume.gain.exponentialRampToValueAtTime(0.0005, at + LENGTH);
  tone.connect(volume).connect(context.destination);
  tone.start(at);
  tone.stop(at + LENGTH);
}

export const sound = new Sound();
