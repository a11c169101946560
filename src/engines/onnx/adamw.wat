;; AdamW's update and the sum of squares behind the gradient norm, in place, four floats at a time.
;; Lengths count floats and are multiples of 4; addresses are multiples of 16. The formulas are those of
;; src/training/adamw.ts, in its order of rounding.
(module
  (import "host" "memory" (memory 1))

  (func (export "update")
    (param $parameter i32) (param $m i32) (param $v i32) (param $gradient i32) (param $length i32)
    (param $factor f32) (param $step_size f32) (param $second_correction f32) (param $decay f32)
    (local $end i32) (local $g v128) (local $first v128) (local $second v128)
    (local.set $end (i32.add (local.get $gradient) (i32.shl (local.get $length) (i32.const 2))))
    (block $done
      (loop $next
        (br_if $done (i32.eq (local.get $gradient) (local.get $end)))
        (local.set $g (f32x4.mul (v128.load (local.get $gradient)) (f32x4.splat (local.get $factor))))
        (local.set $first (f32x4.add
          (f32x4.mul (v128.load (local.get $m)) (v128.const f32x4 0.9 0.9 0.9 0.9))
          (f32x4.mul (local.get $g) (v128.const f32x4 0.1 0.1 0.1 0.1))))
        (local.set $second (f32x4.add
          (f32x4.mul (v128.load (local.get $v)) (v128.const f32x4 0.999 0.999 0.999 0.999))
          (f32x4.mul (f32x4.mul (local.get $g) (local.get $g)) (v128.const f32x4 0.001 0.001 0.001 0.001))))
        (v128.store (local.get $m) (local.get $first))
        (v128.store (local.get $v) (local.get $second))
        (v128.store (local.get $parameter) (f32x4.sub
          (f32x4.mul (v128.load (local.get $parameter)) (f32x4.splat (local.get $decay)))
          (f32x4.mul
            (f32x4.div
              (local.get $first)
              (f32x4.add
                (f32x4.mul (f32x4.sqrt (local.get $second)) (f32x4.splat (local.get $second_correction)))
                (v128.const f32x4 1e-6 1e-6 1e-6 1e-6)))
            (f32x4.splat (local.get $step_size)))))
        (local.set $parameter (i32.add (local.get $parameter) (i32.const 16)))
        (local.set $m (i32.add (local.get $m) (i32.const 16)))
        (local.set $v (i32.add (local.get $v) (i32.const 16)))
        (local.set $gradient (i32.add (local.get $gradient) (i32.const 16)))
        (br $next))))

  (func (export "sumOfSquares") (param $x i32) (param $length i32) (result f64)
    (local $end i32) (local $value v128) (local $low v128) (local $high v128)
    (local.set $end (i32.add (local.get $x) (i32.shl (local.get $length) (i32.const 2))))
    (block $done
      (loop $next
        (br_if $done (i32.eq (local.get $x) (local.get $end)))
        (local.set $value (f64x2.promote_low_f32x4 (v128.load (local.get $x))))
        (local.set $low (f64x2.add (local.get $low) (f64x2.mul (local.get $value) (local.get $value))))
        (local.set $value (f64x2.promote_low_f32x4 (v128.load64_zero offset=8 (local.get $x))))
        (local.set $high (f64x2.add (local.get $high) (f64x2.mul (local.get $value) (local.get $value))))
        (local.set $x (i32.add (local.get $x) (i32.const 16)))
        (br $next)))
    (local.set $low (f64x2.add (local.get $low) (local.get $high)))
    (f64.add (f64x2.extract_lane 0 (local.get $low)) (f64x2.extract_lane 1 (local.get $low)))))
