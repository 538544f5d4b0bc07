//! Errors that are easily forgotten, and the names in their messages.

use bn_layers::{
    Affine, Conv2d, Conv2dConfig, ConvTranspose2d, Init, Layer, LayerExt, Mode, Padding, Relu,
};
use ndarray::{Array1, Array2, Array4};
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

#[test]
fn messages_name_the_layer_as_users_know_it() {
    let none = Array2::<f32>::zeros((0, 2));
    let mut affine = Affine::new(Array2::zeros((2, 3)), Array1::zeros(3)).unwrap();
    let by_layer_ext = LayerExt::forward(&mut affine, none.view(), Mode::Train).unwrap_err();
    for (error, message) in [
        (by_layer_ext, "Affine: the batch is empty"),
        (
            affine.eval(none.view()).unwrap_err(),
            "Affine: the batch is empty",
        ),
        (
            Relu.eval(none.view()).unwrap_err(),
            "Relu: the batch is empty",
        ),
        (
            LayerExt::<f32>::eval(&Relu as &dyn Layer<f32>, none.view()).unwrap_err(),
            "Layer: the batch is empty",
        ),
    ] {
        assert_eq!(error.to_string(), message);
    }
    let (x, y) = (Array2::<f32>::zeros((2, 2)), Array2::zeros((2, 1)));
    let error = Relu.backward(x.view(), y.view(), x.view()).unwrap_err();
    assert_eq!(error.to_string(), "Relu: expected shape [2, 2], got [2, 1]");
}

#[test]
fn an_output_padding_without_an_effect_is_refused() {
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(1);
    let image = (4, 4, 2);
    let config = Conv2dConfig::new(3, 3).stride(2).with_output_padding(1);
    let error = Conv2d::<f32>::init(image, config, Init::He, rng).unwrap_err();
    let message = "the output padding of a Conv2d must be 0, got 1";
    assert_eq!(error.to_string(), message);
    let message = "the output padding of a ConvTranspose2d with padding `same` must be 0, got 1";
    let error = ConvTranspose2d::<f32>::init(image, config.same(), Init::He, rng).unwrap_err();
    assert_eq!(error.to_string(), message);
    let w = Array4::<f32>::zeros((3, 3, 3, 2));
    let error = ConvTranspose2d::new(image, w, None, (2, 2), Padding::Same, (0, 1)).unwrap_err();
    assert_eq!(error.to_string(), message);
    // Where it has an effect it is accepted.
    let layer = ConvTranspose2d::<f32>::init(image, config, Init::He, rng).unwrap();
    assert_eq!(
        layer.output_shape(image.into()).unwrap(),
        (10, 10, 3).into()
    );
}

#[test]
fn a_transposed_convolution_without_channels_is_refused() {
    for (out, channels, message) in [
        (0, 2, "the number of filters must be at least 1, got 0"),
        (2, 0, "the number of channels must be at least 1, got 0"),
    ] {
        let w = Array4::<f32>::zeros((3, 3, out, channels));
        let image = (4, 4, channels);
        let error = ConvTranspose2d::new(image, w, None, (1, 1), Padding::Same, (0, 0));
        assert_eq!(error.unwrap_err().to_string(), message);
    }
}
