import { orrery } from "ic-orrery/vite";
import { defineConfig } from "vite";

export default defineConfig({ plugins: [orrery()] });
