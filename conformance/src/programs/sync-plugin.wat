;; A plugin that `icp sync` runs (interface icp:sync-plugin@0.1): an update call of `say` with what the step's first file holds, up to 127 bytes, which
;; are a Candid text with a length of one byte. Its own error, or the call's, fails the step.
(component
  (import "icp:sync-plugin/types@0.1.0" (instance $types
    (type $call-kind (enum "update" "query"))
    (export "call-type" (type $call-type (eq $call-kind)))
    (type $file (record (field "name" string) (field "content" string)))
    (export "file-input" (type $file-input (eq $file)))
    (type $exec-input (record
      (field "canister-id" string) (field "environment" string)
      (field "dirs" (list string)) (field "files" (list $file-input))
      (field "identity-principal" string) (field "proxy-canister-id" (option string))))
    (export "sync-exec-input" (type (eq $exec-input)))
    (type $call-request (record
      (field "method" string) (field "arg" (list u8)) (field "call-type" $call-type)
      (field "direct" bool) (field "cycles" u64)))
    (export "canister-call-request" (type (eq $call-request)))))
  (alias export $types "canister-call-request" (type $request))
  (alias export $types "sync-exec-input" (type $input))
  (import "canister-call" (func $call (param "req" $request) (result (result (list u8) (error string)))))

  (core module $memory
    (memory (export "memory") 16)
    (global $next (mut i32) (i32.const 4096))
    ;; Nothing is given back: the plugin runs once.
    (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.set $next (i32.add (local.get $at) (local.get $size)))
      (memory.copy (local.get $at) (local.get $old) (local.get $old-size))
      (local.get $at)))
  (core instance $memory (instantiate $memory))
  (core func $call (canon lower (func $call) (memory $memory "memory") (realloc (func $memory "realloc"))))

  (core module $plugin
    (import "host" "call" (func $call (param i32 i32 i32 i32 i32 i32 i64 i32)))
    (import "memory" "memory" (memory 16))
    (data (i32.const 16) "say")
    (data (i32.const 32) "DIDL\00\01\71")
    (data (i32.const 192) "the step names no file")
    ;; Where the call's result goes, 256, and the plugin's own, 272.
    (func (export "exec")
      (param i32 i32 i32 i32 i32 i32) (param $files i32) (param $count i32) (param i32 i32 i32 i32 i32) (result i32)
      (local $length i32)
      (if (i32.eqz (local.get $count)) (then
        (i32.store (i32.const 272) (i32.const 1))
        (i32.store (i32.const 276) (i32.const 192))
        (i32.store (i32.const 280) (i32.const 22))
        (return (i32.const 272))))
      ;; A file is its name and its content, each a place and a length.
      (local.set $length (i32.and (i32.load offset=12 (local.get $files)) (i32.const 127)))
      (i32.store8 (i32.const 39) (local.get $length))
      (memory.copy (i32.const 40) (i32.load offset=8 (local.get $files)) (local.get $length))
      (call $call
        (i32.const 16) (i32.const 3) (i32.const 32) (i32.add (local.get $length) (i32.const 8))
        (i32.const 0) (i32.const 1) (i64.const 0) (i32.const 256))
      (i32.store (i32.const 272) (i32.load8_u (i32.const 256)))
      (i32.store (i32.const 276) (i32.load (i32.const 260)))
      (i32.store (i32.const 280) (i32.load (i32.const 264)))
      (i32.const 272)))
  (core instance $plugin (instantiate $plugin
    (with "host" (instance (export "call" (func $call))))
    (with "memory" (instance $memory))))
  (func (export "exec") (param "input" $input) (result (result (error string)))
    (canon lift (core func $plugin "exec") (memory $memory "memory") (realloc (func $memory "realloc")))))
