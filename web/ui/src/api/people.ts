/** Who may come in, and how: users, tokens, sign-in links. */

import type { Role } from "./types";

export interface Token {
  name: string;
  role: Role;
  created_at: number;
}

export interface User {
  name: string;
  role: Role;
  has_password: boolean;
  created_at: number;
}

/** A path of ours that lets somebody in once. */
export interface SignInLink {
  sign_in_path: string;
}
