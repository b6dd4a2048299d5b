/** What the page is made from; `report/page.py` writes it. */

export interface Check {
  value: number;
  at_least?: number;
  at_most?: number;
  passed: boolean;
}

export interface Evaluation {
  held_out: number;
  go: boolean;
  checks: Record<string, Check>;
  before: Record<string, number>;
  after: Record<string, number>;
  reference: Record<string, number>;
  samples: { text: string; reference: string; before: string; after: string }[];
}

export interface LossPoint {
  step: number;
  train: number | null;
  held_out: number | null;
  learning_rate?: number | null;
  grad_norm?: number | null;
}

export interface Ledger {
  documents: number;
  bad_lines: number;
  repeated_documents: number;
  empty_documents: number;
  segments: number;
  buckets: Record<string, number>;
  rejected_candidates?: Record<string, number>;
}

export interface Made {
  documents: number;
  segments: number;
  candidates: number;
  engine_errors: number;
}

/** Counts between edges; there is one edge more than counts. */
export interface Histogram {
  name: string;
  about: string;
  edges: number[];
  counts: Record<string, number[]>;
  limits: { setting: string; value: number }[];
}

export interface Portrait {
  histograms: Histogram[];
  verbs: { looked_at: number; found: [verb: string, noun: string, count: number][] };
  languages: {
    looked_at: number;
    found: [code: string, instructions: number, responses: number][];
  };
  sources: [source: string, kept: number, rejected: number][];
  licences: [licence: string, kept: number, rejected: number][];
}

export interface Row {
  candidate: string;
  segment_id: string;
  sample: number;
  document_id: string;
  start: number;
  end: number;
  text: string;
  /** Characters of the whole text. */
  clipped: number;
  /** What stands on either side of it in its document. */
  before: string;
  after: string;
  part: number;
  parts: number;
  document_end: number;
  instruction: string | null;
  reason: string;
  value: string | null;
  collided_with: string | null;
  evidence: string | null;
  masked: string | null;
  finish: string | null;
  tokens: number | null;
  logprob: number | null;
  r_ifd: number | null;
  ifd: number | null;
  source: string;
  metadata: Record<string, unknown>;
  provenance: number;
  /** Its turn among the rows that people are asked to read. */
  asked: number | null;
  /** For each sweep the stops at which the row is kept, as bits. */
  stays: number[];
}

/** What each value of a threshold would keep. */
export interface Sweep {
  setting: string;
  /** Of a setting that is a pair, which of the two. */
  bound: number | null;
  about: string;
  /** Ascending; null is the rule off. */
  values: (number | null)[];
  current: number;
  kept: number[];
  /** How the command line is told each. */
  given: string[];
  /** Of the measure; empty where there is none. */
  edges: number[];
  counts: number[];
}

export interface Mark {
  candidate: string;
  verdict: "good" | "bad" | "";
  comment: string;
}

export interface Report {
  name: string;
  about: string;
  base: string;
  engine: string;
  synth: string;
  recipe: string;
  versions: Record<string, string>;
  stages: { stage: string; finished: string; seconds: number }[];
  losses: LossPoint[];
  evaluation: Evaluation | null;
  ledger: Ledger | null;
  /** What was generated, whether or not it is sorted. */
  made: Made | null;
  /** What sorts the run again as it is sorted now. */
  command: string;
  portrait: Portrait | null;
  strata: { reason: string; shown: number; of: number }[];
  rows: Row[];
  others: Record<string, { instruction: string | null; text: string; document_id: string }>;
  provenance: Record<string, unknown>[];
  sweeps: Sweep[];
  /** Why there are none. */
  unswept: string;
  changed: string;
  marks: Mark[];
  /** Set where the page is served by `synth review`. */
  review: boolean;
}

/** The data that lies in the page: JSON, gzip, base64. */
export async function read(): Promise<Report> {
  const packed = document.getElementById("data")?.textContent?.trim() ?? "";
  const bytes = Uint8Array.from(atob(packed), (character) => character.charCodeAt(0));
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(plain).text());
}
