// Workloads that measure what instrumentation costs (bench/src/instrumentation.ts). Each is an update method without
// arguments that leaves a checksum in `result`. Rebuild: clang --target=wasm32 -mbulk-memory -O2 -nostdlib -Wl,--no-entry
// -Wl,--export=result -o workloads.wasm workloads.c; with --target=wasm64 and -o workloads64.wasm for a 64-bit memory.
typedef unsigned char byte;
typedef unsigned int word;
typedef unsigned long long wide;

#define METHOD(name) __attribute__((export_name("canister_update " name))) void
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

word result;

static word random_state = 12345;
static word next_random(void) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 17;
  random_state ^= random_state << 5;
  return random_state;
}

static word words[4 << 20];
static byte text[1 << 20];

// ---- SHA-256 of 4 MiB; the round constants are derived, not tabled.
static word rotate(word x, int n) { return (x >> n) | (x << (32 - n)); }
static word constants[64];

static void derive_constants(void) {
  int found = 0;
  for (word candidate = 2; found < 64; candidate++) {
    int prime = 1;
    for (word d = 2; d * d <= candidate; d++) if (candidate % d == 0) prime = 0;
    if (!prime) continue;
    // The first 32 fractional bits of the cube root, by bisection on root * 2^32.
    wide low = 0, high = (wide)candidate << 32;
    while (high - low > 1) {
      wide middle = low + (high - low) / 2;
      double root = (double)middle / 4294967296.0;
      if (root * root * root <= (double)candidate) low = middle; else high = middle;
    }
    constants[found++] = (word)low;
  }
}

static void compress(word *state, const byte *block) {
  word w[64];
  for (int i = 0; i < 16; i++) {
    w[i] = ((word)block[4 * i] << 24) | ((word)block[4 * i + 1] << 16) | ((word)block[4 * i + 2] << 8) | block[4 * i + 3];
  }
  for (int i = 16; i < 64; i++) {
    word s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ (w[i - 15] >> 3);
    word s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ (w[i - 2] >> 10);
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
  word v[8];
  for (int i = 0; i < 8; i++) v[i] = state[i];
  for (int i = 0; i < 64; i++) {
    word s1 = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25);
    word t1 = v[7] + s1 + ((v[4] & v[5]) ^ (~v[4] & v[6])) + constants[i] + w[i];
    word s0 = rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22);
    word t2 = s0 + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
    v[7] = v[6]; v[6] = v[5]; v[5] = v[4]; v[4] = v[3] + t1;
    v[3] = v[2]; v[2] = v[1]; v[1] = v[0]; v[0] = t1 + t2;
  }
  for (int i = 0; i < 8; i++) state[i] += v[i];
}

METHOD("sha256") sha256(void) {
  word state[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  derive_constants();
  for (int pass = 0; pass < 4; pass++) {
    for (word at = 0; at < sizeof(text); at += 64) compress(state, text + at);
  }
  result = state[0];
}

// ---- Quicksort of 400,000 words.
static void sort(word *a, int low, int high) {
  while (low < high) {
    word pivot = a[low + (high - low) / 2];
    int i = low, j = high;
    while (i <= j) {
      while (a[i] < pivot) i++;
      while (a[j] > pivot) j--;
      if (i <= j) { word t = a[i]; a[i] = a[j]; a[j] = t; i++; j--; }
    }
    if (j - low < high - i) { sort(a, low, j); low = i; } else { sort(a, i, high); high = j; }
  }
}

METHOD("quicksort") quicksort(void) {
  for (int i = 0; i < 400000; i++) words[i] = next_random();
  sort(words, 0, 399999);
  result = words[200000];
}

// ---- Stores: one after the other, at random, and of single bytes.
METHOD("sequential_stores") sequential_stores(void) {
  for (word pass = 1; pass <= 4; pass++) for (word i = 0; i < COUNT(words); i++) words[i] = i * pass;
  result = words[77];
}

METHOD("random_stores") random_stores(void) {
  for (word i = 0; i < 4000000; i++) words[next_random() & (COUNT(words) - 1)] = i;
  result = words[77];
}

METHOD("byte_stores") byte_stores(void) {
  for (word pass = 0; pass < 20; pass++) for (word i = 0; i < sizeof(text); i++) text[i] = (byte)(i ^ pass);
  result = text[77];
}

// ---- An open-addressing set of 500,000 random keys.
METHOD("hash_map") hash_map(void) {
  word size = 1 << 20, count = 0;
  for (word i = 0; i < size; i++) words[i] = 0;
  for (word n = 0; n < 500000; n++) {
    word key = next_random() | 1;
    for (word at = key * 2654435761u >> 12; ; at++) {
      at &= size - 1;
      if (words[at] == 0) { words[at] = key; count++; break; }
      if (words[at] == key) break;
    }
  }
  result = count;
}

// ---- Calls.
static __attribute__((noinline)) word fibonacci(word n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }
METHOD("fibonacci") run_fibonacci(void) { result = fibonacci(30); }

// ---- Matrix products of words and of doubles.
static word wa[192 * 192], wb[192 * 192], wc[192 * 192];
static double fa[192 * 192], fb[192 * 192], fc[192 * 192];
METHOD("integer_matrix") integer_matrix(void) {
  for (int i = 0; i < 192 * 192; i++) { wa[i] = next_random(); wb[i] = next_random(); }
  for (int i = 0; i < 192; i++) for (int j = 0; j < 192; j++) {
    word sum = 0;
    for (int k = 0; k < 192; k++) sum += wa[i * 192 + k] * wb[k * 192 + j];
    wc[i * 192 + j] = sum;
  }
  result = wc[5];
}
METHOD("float_matrix") float_matrix(void) {
  for (int i = 0; i < 192 * 192; i++) { fa[i] = next_random(); fb[i] = next_random(); }
  for (int i = 0; i < 192; i++) for (int j = 0; j < 192; j++) {
    double sum = 0;
    for (int k = 0; k < 192; k++) sum += fa[i * 192 + k] * fb[k * 192 + j];
    fc[i * 192 + j] = sum;
  }
  result = (word)(wide)fc[5];
}

// ---- A binary tree of small records, built and walked.
struct node { struct node *left, *right; word key, value; wide count; };
static struct node nodes[1 << 17];
static word used;
static struct node *insert(struct node *at, word key) {
  if (!at) {
    struct node *fresh = &nodes[used++];
    fresh->left = fresh->right = 0;
    fresh->key = key;
    fresh->value = key ^ 0x5555;
    fresh->count = 1;
    return fresh;
  }
  if (key == at->key) at->count++;
  else if (key < at->key) at->left = insert(at->left, key);
  else at->right = insert(at->right, key);
  return at;
}
METHOD("tree") tree(void) {
  struct node *root = 0;
  used = 0;
  for (int i = 0; i < 100000; i++) root = insert(root, next_random() >> 8);
  result = used;
}
