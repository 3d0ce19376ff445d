// Two soft tones, made on the spot, so that no file need be fetched.

/** Nothing is heard where the browser lets no page play that nobody has clicked in. */
export async function chime(): Promise<void> {
  const audio = new AudioContext();
  try {
    await audio.resume();
    if (audio.state !== "running") return;
    const last = [660, 880].map((frequency, k) => tone(audio, frequency, audio.currentTime + k * 0.16)).pop()!;
    await new Promise((resolve) => last.addEventListener("ended", resolve));
  } finally {
    await audio.close();
  }
}

function tone(audio: AudioContext, frequency: number, at: number): OscillatorNode {
  const source = new OscillatorNode(audio, { frequency });
  const volume = new GainNode(audio, { gain: 0 });
  volume.gain.setValueAtTime(0, at);
  volume.gain.linearRampToValueAtTime(0.08, at + 0.02);
  volume.gain.exponentialRampToValueAtTime(0.0001, at + 0.3);
  source.connect(volume).connect(audio.destination);
  source.start(at);
  source.stop(at + 0.32);
  return source;
}
